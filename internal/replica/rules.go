package replica

import (
	"encoding/json"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// rulesBytes bounds what is told of rules, packed.
const rulesBytes = 256 << 10

// TellRules shows to the others what the rules say that are evaluated here: JSON, nil when nothing is any more. The newest goes out, four times a
// second at most. The error says that it is too much to be told; then what was told before goes on.
func (p *Peers) TellRules(said []byte) error {
	if p.eph == nil {
		return nil
	}
	var value []byte
	if said != nil {
		var err error
		if value, err = pack(json.RawMessage(said)); err != nil {
			return err
		}
		if len(said) > unpackMost || len(value) > rulesBytes {
			return fmt.Errorf("tell the others of the rules: %d bytes, %d packed, are too many", len(said), len(value))
		}
	}
	p.mu.Lock()
	p.rules = value
	p.mu.Unlock()
	p.nudge()
	return nil
}

func (p *Peers) rulesValue() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules
}

// hearRules takes what a replica says of the rules. While the work passes from one to another, who spoke last is heard.
func (p *Peers) hearRules(name string, op store.Op) {
	var said json.RawMessage
	if !op.Delete && (unpack(op.Value, &said) != nil || said == nil) {
		return
	}
	p.mu.Lock()
	mine := p.ruling == name
	switch {
	case !op.Delete:
		p.ruling = name
	case mine:
		p.ruling = ""
	}
	p.mu.Unlock()
	if p.opt.Rules != nil && (!op.Delete || mine) {
		p.opt.Rules(said)
	}
}
