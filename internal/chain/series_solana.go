package chain

// SolanaSeries are the samples of Solana clusters; they are part of AllSeries.
var SolanaSeries = []Series{
	{"tocsin_solana_processed_slot", "slots", "chain,node", "newest slot that the node has processed"},
	{"tocsin_solana_finalized_slot", "slots", "chain,node", "newest finalized slot"},
	{"tocsin_solana_finality_lag_slots", "slots", "chain,node", "processed minus finalized slot; about 32 is normal"},
	{"tocsin_solana_epoch", "epochs", "chain,node", "number of the epoch"},
	{"tocsin_solana_epoch_progress_ratio", "0..1", "chain,node", "how much of the epoch is over"},
	{"tocsin_solana_behind_slots", "slots", "chain,node", "how far the node says that it is behind the cluster"},
	{"tocsin_solana_block_age_seconds", "seconds", "chain,node", "age of a recent block by the cluster's clock"},
	{"tocsin_solana_skip_ratio", "0..1", "chain", "slots of the newest window that had a leader and no block"},
	{"tocsin_solana_delinquent_stake_ratio", "0..1", "chain,node", "share of the active stake that has not voted for 128 slots; a third ends finality"},
	{"tocsin_solana_active_stake", "SOL", "chain,node", "stake of all vote accounts"},
	{"tocsin_solana_validators", "vote accounts", "chain,node", "vote accounts with stake"},
	{"tocsin_solana_validators_delinquent", "vote accounts", "chain,node", "vote accounts with stake that do not vote"},
	{"tocsin_solana_slots_per_minute", "slots", "chain,node", "slots of the newest performance sample; 150 is normal"},
	{"tocsin_solana_transactions_per_second", "1/s", "chain,node", "transactions, votes included"},
	{"tocsin_solana_nonvote_per_second", "1/s", "chain,node", "transactions that are no votes"},
	{"tocsin_solana_cluster_nodes", "nodes", "chain,node", "nodes in the cluster's gossip"},
	{"tocsin_solana_validator_vote_lag_slots", "slots", "chain,validator", "slots since the last vote of a watched validator"},
}
