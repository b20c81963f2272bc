package chain

import "slices"

// Series describes one series of samples, for documentation, charts and queries.
type Series struct {
	Name   string
	Unit   string
	Labels string // comma-separated
	Help   string
}

// AllSeries is the one table of every sample name a Monitor produces.
var AllSeries = slices.Concat([]Series{
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
	{"tocsin_chain_blob_gas_used", "gas", "chain", "gas of the newest block's blobs"},
	{"tocsin_chain_excess_blob_gas", "gas", "chain", "blob gas above the target so far, from which the blob base fee follows"},
	{"tocsin_chain_fee_rate_sat_vb", "sat/vB", "chain,node", "median fee rate of the newest block"},
	{"tocsin_chain_block_fees_btc", "BTC", "chain,node", "fees of the newest block"},
	{"tocsin_chain_txpool_pending", "transactions", "chain,node", "transactions waiting in the node's pool"},
	{"tocsin_chain_txpool_queued", "transactions", "chain,node", "transactions that wait for an earlier nonce"},
	{"tocsin_chain_mempool_bytes", "bytes", "chain,node", "size of the node's mempool"},
	{"tocsin_chain_mempool_min_fee_sat_vb", "sat/vB", "chain,node", "fee rate below which the mempool refuses"},
	{"tocsin_chain_hash_rate", "hashes/s", "chain,node", "network hash rate: estimated by the node (Bitcoin), difficulty over block time (EVM); about 10 % noise"},
	{"tocsin_chain_attack_cost_usd", "USD", "chain", "what as many blocks as there are confirmations cost by rented hash power"},
	{"tocsin_chain_open_deposits_usd", "USD", "chain", "deposits that could be taken back, as told"},
	{"tocsin_chain_top_miner_ratio", "0..1", "chain", "share of the newest 144 blocks that their most frequent miner made"},
	{"tocsin_chain_peers", "connections", "chain,node", "peers of the node"},
	{"tocsin_chain_peer_groups", "networks", "chain,node", "networks that the node's peers are in, where it tells who they are"},
	{"tocsin_chain_peer_group_ratio", "0..1", "chain,node", "share of the largest network among the peers that are not one's own"},
	{"tocsin_chain_safe_height", "blocks", "chain,node", "height of the safe block"},
	{"tocsin_chain_finalized_height", "blocks", "chain,node", "height of the finalized block"},
	{"tocsin_chain_finality_lag_blocks", "blocks", "chain,node", "newest block minus finalized block"},
	{"tocsin_chain_reorg_depth", "blocks", "chain,node", "depth of a reorg, one sample at each"},
	{"tocsin_beacon_head_slot", "slots", "chain,node", "slot of the node's head"},
	{"tocsin_beacon_justified_epoch", "epochs", "chain,node", "newest justified epoch"},
	{"tocsin_beacon_finalized_epoch", "epochs", "chain,node", "newest finalized epoch"},
	{"tocsin_beacon_finality_lag_epochs", "epochs", "chain,node", "epoch of the head minus the finalized one; 2 is normal"},
	{"tocsin_beacon_participation_ratio", "0..1", "chain,node", "stake whose target vote of an epoch was included (Lighthouse only)"},
	{"tocsin_beacon_missed_slots", "slots", "chain", "empty slots of the last 32 that are at least 4 below the head"},
	{"tocsin_beacon_missed_slot_rate", "0..1", "chain", "the chain's own share of empty slots, before those 32"},
	{"tocsin_beacon_reorg_depth_slots", "slots", "chain,node", "depth that a chain_reorg event told, one sample at each"},
	{"tocsin_beacon_optimistic", "0 or 1", "chain,node", "1 while the node follows blocks that it has not checked"},
	{"tocsin_beacon_el_offline", "0 or 1", "chain,node", "1 while the node cannot reach its execution client"},
	{"tocsin_rollup_unsafe_height", "blocks", "chain,node", "height of the sequencer's newest block"},
	{"tocsin_rollup_safe_height", "blocks", "chain,node", "height up to which blocks were derived from L1"},
	{"tocsin_rollup_finalized_height", "blocks", "chain,node", "height up to which they were derived from finalized L1 blocks"},
	{"tocsin_rollup_safe_lag_blocks", "blocks", "chain,node", "unsafe minus safe height"},
	{"tocsin_rollup_safe_age_seconds", "seconds", "chain,node", "time since the safe head was made"},
	{"tocsin_rollup_origin_age_blocks", "L1 blocks", "chain,node", "L1 head minus the L1 origin of the safe head"},
	{"tocsin_rollup_window_used_ratio", "0..1", "chain,node", "the same, to the sequencer window"},
	{"tocsin_rollup_derivation_lag_blocks", "L1 blocks", "chain,node", "L1 head minus the L1 block up to which the node has derived"},
	{"tocsin_rollup_batch_age_seconds", "seconds", "chain,node", "time since the newest L1 block with a batch, measured on L1"},
	{"tocsin_chain_findings_open", "findings", "chain", "open findings"},
}, CometSeries, SolanaSeries)
