package chain

// Series describes one series of samples, for documentation, charts and queries.
type Series struct {
	Name   string
	Unit   string
	Labels string // comma-separated
	Help   string
}

// AllSeries is the one table of every sample name a Monitor produces.
var AllSeries = []Series{
	{"tocsin_chain_head_height", "blocks", "chain,node", "height of the node's newest block"},
	{"tocsin_chain_head_age_seconds", "seconds", "chain,node", "time since the node's newest block was made, by its header"},
	{"tocsin_chain_head_silence_seconds", "seconds", "chain", "time since any node showed a new head"},
	{"tocsin_chain_head_delay_seconds", "seconds", "chain,node", "from the header's time until the block was here"},
	{"tocsin_chain_node_lag_blocks", "blocks", "chain,node", "blocks behind the best node"},
	{"tocsin_chain_node_up", "0 or 1", "chain,node", "1 while the node answers and serves the right chain"},
	{"tocsin_chain_block_interval_seconds", "seconds", "chain", "time between a block and its parent, by their headers"},
	{"tocsin_chain_block_txs", "transactions", "chain", "transactions of the newest block"},
	{"tocsin_chain_block_size_bytes", "bytes", "chain", "size of the newest block"},
	{"tocsin_chain_base_fee_gwei", "gwei", "chain", "base fee of the newest block"},
	{"tocsin_chain_next_base_fee_gwei", "gwei", "chain,node", "base fee of the next block, by eth_feeHistory"},
	{"tocsin_chain_priority_fee_gwei", "gwei", "chain,node", "median priority fee of the newest block"},
	{"tocsin_chain_gas_ratio", "0..1", "chain", "gas used to gas limit of the newest block"},
	{"tocsin_chain_fee_rate_sat_vb", "sat/vB", "chain,node", "median fee rate of the newest block"},
	{"tocsin_chain_block_fees_btc", "BTC", "chain,node", "fees of the newest block"},
	{"tocsin_chain_txpool_pending", "transactions", "chain,node", "transactions waiting in the node's pool"},
	{"tocsin_chain_txpool_queued", "transactions", "chain,node", "transactions that wait for an earlier nonce"},
	{"tocsin_chain_mempool_bytes", "bytes", "chain,node", "size of the node's mempool"},
	{"tocsin_chain_mempool_min_fee_sat_vb", "sat/vB", "chain,node", "fee rate below which the mempool refuses"},
	{"tocsin_chain_hash_rate", "hashes/s", "chain,node", "network hash rate, estimated by the node (about 10 % noise)"},
	{"tocsin_chain_peers", "connections", "chain,node", "peers of the node"},
	{"tocsin_chain_safe_height", "blocks", "chain,node", "height of the safe block"},
	{"tocsin_chain_finalized_height", "blocks", "chain,node", "height of the finalized block"},
	{"tocsin_chain_finality_lag_blocks", "blocks", "chain,node", "newest block minus finalized block"},
	{"tocsin_chain_reorg_depth", "blocks", "chain,node", "depth of a reorg, one sample at each"},
	{"tocsin_chain_findings_open", "findings", "chain", "open findings"},
}
