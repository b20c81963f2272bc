// Package config owns the settings of one Tocsin: a YAML file and the
// environment become one typed Config, or errors that say what to change. It
// never guesses at an unknown key, and its secrets never print themselves.
//
// Later wins: built-in defaults, the file, then the environment. Every setting
// that is not inside a list has a variable: TOCSIN_ and its path in capitals,
// like TOCSIN_ADDR or TOCSIN_CORRELATION_WINDOW.
package config

import "log/slog"

// Config is everything that can be set.
type Config struct {
	// Addr is the address to listen on, host:port. Default 127.0.0.1:8080: only
	// this machine. Behind a proxy that terminates TLS leave it so; port 0 takes
	// any free port.
	Addr string `yaml:"addr"`
	// Data is the directory that holds everything Tocsin keeps. It is made when
	// it is not there. Default "data". Only one process uses it at a time.
	Data string `yaml:"data"`
	// Store is where the log is kept: bolt, a file in the data directory, or
	// etcd://host:2379,host:2379,host:2379/prefix, for several replicas. Default
	// bolt. It is treated as a secret, since it may hold a password.
	Store Store `yaml:"store"`
	// Blobs is where files that are too large for the log are kept: a directory, or
	// a bucket that speaks S3, like s3://bucket?region=eu-central-1, whose
	// credentials are taken as AWS's tools take them. Empty: the directory blobs in
	// Data. Replicas need a place that all of them see.
	Blobs string `yaml:"blobs"`
	// PublicURL is the address that people open, like https://tocsin.example.org,
	// without a path. Passkeys are bound to its host name, and links are made
	// with it. Empty: passkeys work on http://localhost only.
	PublicURL string `yaml:"public_url"`
	// TLS lets Tocsin itself speak https. Empty: it speaks plain HTTP, for a proxy
	// in front or this machine only.
	TLS TLS `yaml:"tls"`
	// LogLevel is debug, info, warn or error. Default info.
	LogLevel string `yaml:"log_level"`
	// Retention is how long samples (the figures behind the charts) are kept,
	// like 15d, 12h or 8w. Default 15d, at least 2h. The event log is kept for ever.
	Retention Duration `yaml:"retention"`
	// Organisation is the name shown on the status page and beside passkeys.
	Organisation string `yaml:"organisation"`
	// BootstrapToken is an administrator's API token for automation, at best the
	// output of: openssl rand -hex 32. Empty: none. Only its digest is kept.
	BootstrapToken Secret `yaml:"bootstrap_token"`
	// BootstrapTokenFile is a file that holds the bootstrap token instead.
	BootstrapTokenFile string `yaml:"bootstrap_token_file"`
	// Components are the parts of the service that the public knows, in the order
	// of the status page.
	Components []Component `yaml:"components"`
	// Chains are the chains to watch. More are added in the page under Chains.
	Chains []Chain `yaml:"chains"`
	// Watches are what is watched on chains beside their heads: balances, contracts,
	// feeds, bridges.
	Watches []Watch `yaml:"watches"`
	// Sources are senders of alerts whose keys are given, not drawn. More are
	// added in the page under Sources.
	Sources []Source `yaml:"sources"`
	// Metrics says how figures come in and how rules judge them.
	Metrics Figures `yaml:"metrics"`
	// Scrape are targets in Prometheus' format that are asked for figures.
	Scrape []Scrape `yaml:"scrape"`
	// Rules are files of alerting and recording rules as Prometheus has them; a *
	// stands for any part of a file name, like rules/*.yml. Changed files are
	// taken within half a minute.
	Rules []string `yaml:"rules"`
	// Detection is a YAML file with what is known of bridges, addresses, pegs, feeds,
	// series, bounds and services; tocsin replay reads the same. Empty: what the
	// detectors need they learn.
	Detection string `yaml:"detection"`
	// Correlation says which signals become incidents.
	Correlation Correlation `yaml:"correlation"`
	// Watchdog are addresses that hear a heartbeat as long as Tocsin can do its work,
	// so that somebody notices when it falls silent.
	Watchdog []Heartbeat `yaml:"watchdog"`
	// Status is the status page.
	Status Status `yaml:"status"`
	// Impact says how the score of incidents weighs, and where its figures come from.
	Impact Impact `yaml:"impact"`
	// Notify is how people are reached.
	Notify Notify `yaml:"notify"`

	lines map[string]int // where in the file each setting is, for errors
	file  string
}

// TLS is a certificate and its key, PEM files. Renewed files are taken within
// seconds, without a restart.
type TLS struct {
	// Cert is the file of the certificate and those of its issuers.
	Cert string `yaml:"cert"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key"`
}

// Component is one part of the service on the status page.
type Component struct {
	// Name is what the public reads, like Withdrawals. Alerts name it in the
	// label "component".
	Name string `yaml:"name"`
	// Group puts components under one heading, like Exchange. May be empty.
	Group string `yaml:"group"`
	// Description is one line below the name. May be empty.
	Description string `yaml:"description"`
}

// Chain is one chain and the nodes it is watched through.
type Chain struct {
	// Name is what people read and what alerts name in the label "chain":
	// lower-case letters, digits and dashes, like ethereum.
	Name string `yaml:"name"`
	// Family is evm, bitcoin, comet, solana, beacon (Ethereum consensus clients) or
	// opstack (rollup nodes).
	Family string `yaml:"family"`
	// ChainID guards against a node of another chain: the decimal id for evm
	// ("1"); main, test, testnet4, signet, simnet or regtest for bitcoin; the
	// network's name for comet ("cosmoshub-4"); mainnet-beta, testnet, devnet or
	// the genesis hash for solana; CONFIG_NAME for beacon ("mainnet"); the decimal id
	// of the L2 for opstack. Empty: what the nodes say is taken.
	ChainID string `yaml:"chain_id"`
	// Nodes are the nodes to ask. Two of different operators are the least that
	// makes "the chain stopped" and "my node stopped" different findings, and that
	// confirms a finding.
	Nodes []Node `yaml:"nodes"`
	// RoutineReorg is the depth in blocks up to which a reorg is daily life;
	// deeper ones become signals. 0: what is known of the chain, else 1.
	RoutineReorg int `yaml:"routine_reorg"`
	// Confirmations is the smallest number of confirmations at which somebody
	// credits deposits; a reorg this deep is SEV1. 0: not known.
	Confirmations int `yaml:"confirmations"`
	// SecondNodeWait is how long a finding that one node shows waits for a second
	// one before it pages; with one node in all, a quarter of it. Empty: 2m.
	SecondNodeWait Duration `yaml:"second_node_wait"`
	// HashPrice is what one hash per second costs to rent for a day, in dollars
	// (proof of work only), and OpenDeposits how many dollars of deposits could be
	// taken back: then the cost of an attack is told beside its gain. 0: not known.
	HashPrice    float64 `yaml:"hash_price_usd"`
	OpenDeposits float64 `yaml:"open_deposits_usd"`
	// OpenDepositsQuery is PromQL that answers with those dollars, instead of
	// OpenDeposits. It is asked once a minute, several series are added up; what was
	// told more than ten minutes ago is not known any more.
	OpenDepositsQuery string `yaml:"open_deposits_query"`
	// BlockInterval is the expected time between blocks, like 12s. Empty: what is
	// known of the chain, and then what is learned.
	BlockInterval Duration `yaml:"block_interval"`
	// Poll is how often each node is asked for its newest block, from 250ms to 10s.
	// While a node tells new heads by itself (newHeads of evm, events of beacon) that
	// is only a check, and a third as often does. The slower rounds keep their pace, and
	// a node that limits us is left alone all the same. Empty: 2s for evm and opstack,
	// 500ms for bitcoin, 1s for comet and solana, 4s for beacon.
	Poll Duration `yaml:"poll"`
	// Validators are watched one by one (comet and solana only). comet: the
	// consensus address in hex, or the name that the validator gives itself; empty:
	// all of a set of up to 20. solana: the identity or the vote account; empty: none.
	Validators []string `yaml:"validators"`
	// L1 is where the batches of a rollup are posted (opstack only).
	L1 L1 `yaml:"l1"`
}

// L1 is the chain below a rollup.
type L1 struct {
	// URL is the address of an execution node of L1, http or https. With it the age of
	// the newest batch is measured on L1 itself. Empty: it is not. It is treated as a
	// secret.
	URL Address `yaml:"url"`
	// Inbox is the address that batches are sent to. Empty: the one the rollup node tells.
	Inbox string `yaml:"inbox"`
	// Batcher is the address that sends them; whoever else writes to the inbox does not
	// count then. Empty: anybody counts.
	Batcher string `yaml:"batcher"`
}

// Node is one node of a chain.
type Node struct {
	// Name tells the nodes of a chain apart, like own-1 or provider.
	Name string `yaml:"name"`
	// URL is the address of its JSON-RPC: http or https, for evm also ws or wss.
	// It is treated as a secret, since providers put their keys into it.
	URL Address `yaml:"url"`
	// WS is the websocket address for new heads (evm only). Empty: derived from
	// URL where that works; none: only poll.
	WS Address `yaml:"ws"`
	// Operator is who runs the node, in a few words. Nodes of one operator confirm
	// nothing for each other. Empty: the provider or the host and port of URL.
	Operator string `yaml:"operator"`
	// User is the user name for nodes that ask for one, as bitcoin nodes do.
	User string `yaml:"user"`
	// Password belongs to User.
	Password Secret `yaml:"password"`
	// PasswordFile is a file that holds the password instead.
	PasswordFile string `yaml:"password_file"`
}

// Source is a sender of alerts.
type Source struct {
	// Name is what people read, like Alertmanager Zug.
	Name string `yaml:"name"`
	// Kind is alertmanager, grafana, pagerduty, cloudevents, generic, heartbeat
	// (beats once a minute, or as set on the Sources page) or metrics (figures).
	Kind string `yaml:"kind"`
	// Key is the key that the sender uses: 32 lower-case letters and digits. For
	// pagerduty it is the routing key.
	Key Secret `yaml:"key"`
	// KeyFile is a file that holds the key instead.
	KeyFile string `yaml:"key_file"`
}

// Correlation says which signals become incidents.
type Correlation struct {
	// Window is how long after the last signal of an incident a new one on the
	// same chain or component still joins it. Default 2h.
	Window Duration `yaml:"window"`
	// Floor is the least severity that declares an incident by itself, SEV1 to
	// SEV4. Default SEV4; SEV5 never declares.
	Floor string `yaml:"floor"`
}

// Status is the status page.
type Status struct {
	// Title is its heading. Empty: the organisation and "status".
	Title string `yaml:"title"`
	// Audiences are the pages beside the public one, each for stakeholders with
	// that audience: lower-case letters, digits and dashes, like exchanges.
	Audiences []string `yaml:"audiences"`
}

// Default returns the Config of an empty file.
func Default() Config {
	return Config{
		Addr: "127.0.0.1:8080", Data: "data", LogLevel: "info", Retention: 15 * Day,
		Metrics:     defaultFigures(),
		Correlation: Correlation{Window: 2 * Hour, Floor: "SEV4"},
		Impact:      Impact{Preset: "exchange"},
	}
}

// Level returns LogLevel for slog; a level that Validate refuses is Info.
func (c Config) Level() slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.LogLevel)) != nil {
		return slog.LevelInfo
	}
	return l
}

// Heading returns the title of the status page.
func (c Config) Heading() string {
	switch {
	case c.Status.Title != "":
		return c.Status.Title
	case c.Organisation != "":
		return c.Organisation + " status"
	}
	return "Status"
}
