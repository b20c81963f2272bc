package detect

import "encoding/json"

// drainState is what a BridgeDrain is made of, for saving. Nothing of it may be left out: a restart changes no figure.
type drainState struct {
	Bridge   Bridge         `json:"bridge"`
	Now      int64          `json:"now"`
	TVL      float64        `json:"tvl"`
	Flows    []flowState    `json:"flows,omitempty"`
	Net      float64        `json:"net"`
	Out      int            `json:"out"`
	Open     bool           `json:"open"`
	Since    int64          `json:"since"`
	Told     int64          `json:"told"`
	Title    string         `json:"title"`
	Calm     int64          `json:"calm"`
	Ended    int64          `json:"ended"`
	Baseline float64        `json:"baseline"`
	Step     int            `json:"step"`
	Total    int            `json:"total"`
	Amounts  map[string]int `json:"amounts,omitempty"`
}

type flowState struct {
	Flow
	Withdrawals int `json:"withdrawals"`
}

// MarshalJSON saves the whole state.
func (d BridgeDrain) MarshalJSON() ([]byte, error) {
	s := drainState{d.bridge, d.now, d.tvl, nil, d.net, d.out, d.open, d.since, d.told, d.title, d.calm, d.ended, d.baseline, d.step, d.total, d.amounts}
	for _, f := range d.flows {
		s.Flows = append(s.Flows, flowState{f, f.withdrawals})
	}
	return json.Marshal(s)
}

// UnmarshalJSON takes what MarshalJSON wrote.
func (d *BridgeDrain) UnmarshalJSON(b []byte) error {
	var s drainState
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*d = BridgeDrain{bridge: s.Bridge, now: s.Now, tvl: s.TVL, net: s.Net, out: s.Out, open: s.Open, since: s.Since, told: s.Told, title: s.Title,
		calm: s.Calm, ended: s.Ended, baseline: s.Baseline, step: s.Step, total: s.Total, amounts: s.Amounts, owned: d.owned}
	for _, f := range s.Flows {
		d.flows = append(d.flows, f.Flow)
		d.flows[len(d.flows)-1].withdrawals = f.Withdrawals
	}
	return nil
}
