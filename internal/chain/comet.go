package chain

// CometSaid is what a CometBFT node says of its consensus. A part that is nil was not asked, or the node does not offer it.
type CometSaid struct {
	Round      *CometRound    `json:"round,omitempty"`
	Commit     *CometCommit   `json:"commit,omitempty"`
	Validators []Validator    `json:"validators,omitempty"` // the whole set in its own order, at most 512
	Slashing   *CometSlashing `json:"slashing,omitempty"`
	Upgrade    *CometUpgrade  `json:"upgrade,omitempty"`
}

// CometRound is where a node stands in deciding on a height.
type CometRound struct {
	Height     int64    `json:"height"` // the one being decided: the head's height + 1
	Round      int64    `json:"round"`
	Step       int64    `json:"step"`       // 1 new height, 2 new round, 3 propose, 4 prevote, 5 prevote wait, 6 precommit, 7 precommit wait, 8 commit
	Prevotes   float64  `json:"prevotes"`   // share of the voting power whose prevote of this round is here, 0..1
	Precommits float64  `json:"precommits"` // the same of precommits
	Absent     []string `json:"absent,omitempty"`
}

// CometCommit is who signed a block, as the next block records it (what slashing counts), and the evidence in the block.
type CometCommit struct {
	Height     int64      `json:"height"`
	Round      int64      `json:"round"`
	Validators int        `json:"validators"`
	Absent     int        `json:"absent"`           // signatures that are missing (flag absent; a nil vote is a signature)
	Missed     []string   `json:"missed,omitempty"` // whose: addresses; fewer than Absent when the set is not known
	Evidence   []Evidence `json:"evidence,omitempty"`
}

// Evidence is a proof of misbehaviour that the validators put into a block.
type Evidence struct {
	Kind       string   `json:"kind"`   // DuplicateVote or LightClientAttack
	Height     int64    `json:"height"` // at which it was done
	Validators []string `json:"validators"`
}

// Validator is one member of a validator set. Address is the consensus address: upper-case hex on CometBFT.
type Validator struct {
	Address string `json:"address"`
	Power   int64  `json:"power"`
	Name    string `json:"name,omitempty"` // as it calls itself; not proven
}

// CometSlashing is what the application counts; nil where it has no x/slashing.
type CometSlashing struct {
	Window    int64          `json:"window"`     // blocks
	MinSigned float64        `json:"min_signed"` // share of the window that must be signed, 0..1
	Infos     []CometSigning `json:"infos"`      // at most 512
}

// CometSigning is one validator's record.
type CometSigning struct {
	Address     string `json:"address"`
	Missed      int64  `json:"missed"`       // blocks of the window
	JailedUntil int64  `json:"jailed_until"` // unix ms; 0 = not
	Jailed      bool   `json:"jailed,omitempty"`
	Tombstoned  bool   `json:"tombstoned,omitempty"`
}

// CometUpgrade is the plan of x/upgrade; Height 0 says that there is none.
type CometUpgrade struct {
	Name   string `json:"name"`
	Height int64  `json:"height"`
}
