package chain

// CometSeries are the samples of CometBFT chains; they are part of AllSeries.
var CometSeries = []Series{
	{"tocsin_comet_round", "rounds", "chain,node", "round in which the node decides on the next height; 0 is the first"},
	{"tocsin_comet_prevotes_ratio", "0..1", "chain,node", "share of the voting power whose prevote the node has heard in this round"},
	{"tocsin_comet_commit_round", "rounds", "chain", "round in which the newest block was decided"},
	{"tocsin_comet_absent_signatures", "validators", "chain", "validators that did not sign the newest block but one"},
	{"tocsin_comet_missing_power_ratio", "0..1", "chain", "share of the voting power that did not sign it; a third stops the chain"},
	{"tocsin_comet_validators", "validators", "chain", "size of the active set"},
	{"tocsin_comet_validator_missed_run", "blocks", "chain,validator", "blocks in a row that a watched validator did not sign"},
	{"tocsin_comet_validator_window_ratio", "0..1", "chain,validator", "misses of the slashing window, as a share of those allowed; at 1 it is jailed"},
	{"tocsin_comet_evidence", "proofs", "chain", "proofs of misbehaviour in blocks, one sample at each"},
	{"tocsin_comet_upgrade_blocks_left", "blocks", "chain", "blocks until a planned upgrade"},
}
