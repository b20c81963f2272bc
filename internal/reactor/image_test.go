package reactor_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

func (h *house) image(c *reactor.Correlator) []byte {
	h.t.Helper()
	size, body, err := c.Image(h.ctx)
	if err != nil || size != h.log.Size() {
		h.t.Fatalf("image of %d of %d events: %v", size, h.log.Size(), err)
	}
	return body
}

// TestHoweverItIsFolded: whatever happens to incidents, a correlator that
// followed, one that begins with a snapshot and one that folds the whole log
// know the same.
func TestHoweverItIsFolded(t *testing.T) {
	chains := []string{"ethereum", "bitcoin", ""}
	rapid.Check(t, func(rt *rapid.T) {
		h := open(rt, t.Context())
		var early []byte
		steps := rapid.IntRange(1, 25).Draw(rt, "steps")
		cut := rapid.IntRange(0, steps-1).Draw(rt, "cut")
		for i := range steps {
			h.now += minute
			o := fire(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "key"), on(rapid.SampledFrom(chains).Draw(rt, "chain")))
			o.Group, o.Firing = rapid.SampledFrom([]string{"", "g"}).Draw(rt, "group"), rapid.IntRange(0, 2).Draw(rt, "firing") > 0
			h.send("am", o)
			h.settle()
			if n := h.incidents(); n > 0 {
				number := rapid.Int64Range(1, int64(n)).Draw(rt, "number")
				var c incident.Command
				switch rapid.IntRange(0, 6).Draw(rt, "command") {
				case 0:
					c = incident.Resolve{Validation: "checked"}
				case 1:
					c = incident.Reopen{Reason: "not over"}
				case 2:
					c = incident.Merge{Into: rapid.Int64Range(1, int64(n)).Draw(rt, "into")}
				case 3:
					if list := h.load(number).Signals; len(list) > 0 {
						c = incident.DetachSignal{Signal: rapid.SampledFrom(list).Draw(rt, "signal").ID}
					}
				case 4:
					// What attached or detached a signal says less when it is blanked: who
					// followed knows more than who reads it now.
					offset := rapid.Int64Range(0, h.log.Size()-1).Draw(rt, "offset")
					if e, err := h.log.Read(h.ctx, offset, 1); err != nil || !strings.HasPrefix(e[0].Type, "incident.signal") {
						c = incident.Redact{Event: fmt.Sprint(offset), Reason: "private"}
					}
				}
				if c != nil {
					h.ids++
					err := h.room.Do(h.ctx, number, c, incident.Meta{ID: fmt.Sprintf("cmd-%d", h.ids), At: h.now, Actor: "person:ana"})
					var r *incident.Refusal
					if err != nil && !errors.As(err, &r) {
						rt.Fatalf("%v", err)
					}
				}
			}
			if i == cut {
				early = h.image(h.corr)
			}
			h.settle()
		}
		followed := h.image(h.corr)
		anew, late := reactor.NewCorrelator(h.log, h.room, h.rules, h.clock, silent), reactor.NewCorrelator(h.log, h.room, h.rules, h.clock, silent)
		late.Keep(0)
		late.Resume(early)
		for name, c := range map[string]*reactor.Correlator{"folded anew": anew, "from a snapshot": late} {
			if got := h.image(c); !bytes.Equal(got, followed) {
				rt.Fatalf("%s:\n%s\nfollowed:\n%s", name, got, followed)
			}
		}
		// And all do the same with all of it once more: nothing.
		size := h.log.Size()
		for _, c := range []*reactor.Correlator{anew, late} {
			h.corr, h.next = c, 0
			h.settle()
			if h.log.Size() != size {
				rt.Fatalf("acting on everything once more added %d events", h.log.Size()-size)
			}
		}
	})
}

// TestBadImages: a fold that cannot be read is made anew from the log.
func TestBadImages(t *testing.T) {
	h := open(t, t.Context())
	h.send("am", fire("a", on("ethereum")), fire("b", on("bitcoin")))
	h.settle()
	good := h.image(h.corr)
	for name, bad := range map[string][]byte{
		"empty": {}, "half": good[:len(good)/2], "no JSON": []byte("{"), "of a longer log": bytes.Replace(good, []byte(`"next":`), []byte(`"next":9`), 1),
	} {
		c := reactor.NewCorrelator(h.log, h.room, h.rules, h.clock, silent)
		c.Resume(bad)
		if got := h.image(c); !bytes.Equal(got, good) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// folded is the digest of what a fixed history folds to. When it changes, and no
// type did, raise imageVersion: snapshots of the old program must not be taken.
const folded = "1-a05678050ceb504c b5a99efe7670e0cc"

func TestTheFoldIsTheOneOfThisVersion(t *testing.T) {
	h := open(t, t.Context())
	g := fire("a", on("ethereum"), of("bridge"))
	g.Group = "g"
	h.send("am", g, fire("b", on("bitcoin")), fire("c", on("ethereum")), signal.Observation{Key: "b"})
	h.settle()
	for _, s := range h.load(1).Signals {
		if s.Kind == "c" {
			h.do(1, "person:ana", incident.DetachSignal{Signal: s.ID})
		}
	}
	h.do(2, "person:ana", incident.Merge{Into: 1})
	h.settle()
	h.do(1, "person:ana", incident.Resolve{Validation: "checked"})
	body := h.image(h.corr)
	sum := sha256.Sum256(body)
	if got := reactor.Shape() + " " + hex.EncodeToString(sum[:8]); got != folded {
		t.Errorf("this history folds to %q, which was %q; raise imageVersion if the part after the blank changed, and write the new one here\n%s", got, folded, body)
	}
}
