package chain

// Network is what is commonly known of a public chain; the priors of a Monitor come from it until it has learned better.
type Network struct {
	Name     string
	Interval int64 // ms between blocks
	Regular  bool  // fixed slots
	Routine  int   // reorg depth of daily life
	OnDemand bool  // blocks come when somebody wants one: silence means nothing until a rhythm is learned
}

// Known looks up a network by family and chain id: EVM and rollup ids are decimal, beacon ids are the CONFIG_NAME of the
// specification, Bitcoin ids are main, test, testnet4, signet, simnet or regtest.
// Source of the EVM ids: the ethereum-lists/chains registry; intervals are the chains' published block times.
func Known(f Family, id string) (Network, bool) {
	if f == Rollup {
		f = EVM // the same registry of ids
	}
	n, ok := networks[f][id]
	return n, ok
}

var networks = map[Family]map[string]Network{
	EVM: {
		"1":        {"Ethereum", 12000, true, 1, false},
		"10":       {"OP Mainnet", 2000, true, 1, false},
		"25":       {"Cronos", 600, false, 1, false},
		"56":       {"BNB Smart Chain", 750, true, 2, false},
		"61":       {"Ethereum Classic", 13000, false, 2, false},
		"100":      {"Gnosis", 5000, true, 1, false},
		"130":      {"Unichain", 1000, true, 1, false},
		"137":      {"Polygon", 2000, true, 32, false},
		"146":      {"Sonic", 600, false, 1, false},
		"250":      {"Fantom", 1000, false, 1, false},
		"324":      {"ZKsync Era", 1000, false, 1, false},
		"1101":     {"Polygon zkEVM", 3000, false, 1, false},
		"1284":     {"Moonbeam", 6000, true, 2, false},
		"1337":     {"a development chain", 0, false, 1, true},
		"5000":     {"Mantle", 2000, true, 1, false},
		"8453":     {"Base", 2000, true, 1, false},
		"31337":    {"a development chain (anvil)", 0, false, 1, true},
		"42161":    {"Arbitrum One", 250, false, 1, false},
		"42220":    {"Celo", 1000, true, 1, false},
		"43114":    {"Avalanche C-Chain", 2000, false, 1, false},
		"59144":    {"Linea", 2000, true, 1, false},
		"80002":    {"Polygon Amoy", 2000, true, 32, false},
		"81457":    {"Blast", 2000, true, 1, false},
		"84532":    {"Base Sepolia", 2000, true, 1, false},
		"421614":   {"Arbitrum Sepolia", 250, false, 1, false},
		"534352":   {"Scroll", 3000, false, 1, false},
		"560048":   {"Hoodi", 12000, true, 2, false},
		"17000":    {"Holesky", 12000, true, 2, false},
		"11155111": {"Sepolia", 12000, true, 2, false},
		"11155420": {"OP Sepolia", 2000, true, 1, false},
	},
	Beacon: { // by CONFIG_NAME; the interval is the slot
		"mainnet": {"Ethereum beacon chain", 12000, true, 1, false},
		"gnosis":  {"Gnosis beacon chain", 5000, true, 1, false},
		"sepolia": {"Sepolia beacon chain", 12000, true, 1, false},
		"hoodi":   {"Hoodi beacon chain", 12000, true, 1, false},
		"holesky": {"Holesky beacon chain", 12000, true, 1, false},
	},
	Comet: { // the pace is learned from the first headers
		"akashnet-2":     {"Akash", 0, true, 1, false},
		"celestia":       {"Celestia", 0, true, 1, false},
		"cosmoshub-4":    {"Cosmos Hub", 0, true, 1, false},
		"dydx-mainnet-1": {"dYdX", 0, true, 1, false},
		"injective-1":    {"Injective", 0, true, 1, false},
		"kava_2222-10":   {"Kava", 0, true, 1, false},
		"mocha-4":        {"Celestia Mocha", 0, true, 1, false},
		"neutron-1":      {"Neutron", 0, true, 1, false},
		"noble-1":        {"Noble", 0, true, 1, false},
		"osmosis-1":      {"Osmosis", 0, true, 1, false},
		"pacific-1":      {"Sei", 0, true, 1, false},
		"provider":       {"the Cosmos Hub test chain", 0, true, 1, false},
		"stride-1":       {"Stride", 0, true, 1, false},
	},
	Solana: {
		"mainnet-beta": {"Solana", 400, true, 1, false},
		"testnet":      {"Solana testnet", 400, true, 1, false},
		"devnet":       {"Solana devnet", 400, true, 1, false},
	},
	Bitcoin: {
		"main":     {"Bitcoin", 600000, false, 1, false},
		"test":     {"Bitcoin testnet3", 600000, false, 3, false},
		"testnet4": {"Bitcoin testnet4", 600000, false, 3, false},
		"signet":   {"Bitcoin signet", 600000, false, 1, false},
		"simnet":   {"a Bitcoin simulation network", 0, false, 1, true},
		"regtest":  {"a Bitcoin regression-test network", 0, false, 1, true},
	},
}
