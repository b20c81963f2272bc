package comet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestRecorded reads what a real network of four answered (see testdata/PROVENANCE.md).
func TestRecorded(t *testing.T) {
	s := read[status](t, "status")
	if s.Node.Version != "1.0.1" || s.Sync.Height <= 0 || len(s.Sync.Hash) != 64 || s.Sync.Time.Year() != 2026 || s.Sync.CatchingUp {
		t.Errorf("status %+v", s)
	}
	metas := read[struct {
		Metas []meta `json:"block_metas"`
	}](t, "blockchain").Metas
	four, err := metas[0].block(1)
	three, _ := metas[1].block(1)
	if err != nil || four.Height != 4 || four.Parent != three.Hash || *four.Txs != 0 || four.Size < 800 || four.Time-three.Time <= 0 {
		t.Errorf("%+v %+v %v", four, three, err)
	}
	all, missing := read[commit](t, "commit_all"), read[commit](t, "commit_missing")
	absent := 0
	for _, x := range missing.Signed.Commit.Signatures {
		if x.Flag == 1 {
			absent++
		}
	}
	if !all.Canonical || all.Signed.Commit.Height != 5 || len(all.Signed.Commit.Signatures) != 4 || all.Signed.Header.Evidence != emptyHash || absent != 1 {
		t.Errorf("%+v, %d absent", all, absent)
	}
	order := []string{"v0", "v1", "v2", "v3"}
	halted := read[consensus](t, "consensus_state_halted")
	r, err := halted.round(order)
	if err != nil || r.Height != 45 || r.Round != 0 || r.Step != 4 || r.Prevotes != 0.5 || r.Precommits != 0 || !slices.Equal(r.Absent, []string{"v0", "v2"}) {
		t.Errorf("%+v %v", r, err)
	}
	b := read[block](t, "block_evidence")
	if e := b.evidence(); len(e) != 1 || e[0].Kind != "DuplicateVote" || e[0].Height != 54 || e[0].Validators[0] != "2ED546C661C597D996FBB6D4D0395E8EF65B520C" {
		t.Errorf("%+v", e)
	}
	files, _ := filepath.Glob("testdata/*.json")
	for _, f := range files {
		if raw, err := os.ReadFile(f); err != nil || !json.Valid(raw) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestVotes(t *testing.T) {
	for in, want := range map[string]struct {
		share  float64
		absent int
	}{
		"BA{4:_x_x} 20/40 = 0.50":                {0.5, 2},
		"BA{12:xxxxxxxxxx \n x_} 110/120 = 0.92": {110.0 / 120, 1},
		"BA{0:} 0/0 = NaN":                       {0, 0},
		"":                                       {0, 0},
		"nil-BitArray":                           {0, 0},
		"BA{3:___} -1/0":                         {0, 3},
		"BA{2:xx} 9223372036854775807/9223372036854775807 = 1.00": {1, 0},
	} {
		if share, absent := votes(in); share != want.share || len(absent) != want.absent {
			t.Errorf("%q: %g %v", in, share, absent)
		}
	}
}

// TestFollow: the start brings 64 headers and the newest commits; while nothing changes only /status is asked; what the app lacks is left out.
func TestFollow(t *testing.T) {
	n := newNode(t, 100)
	w := watch(t, Config{URL: n.url(), ChainID: "test-1"})
	o := w.until("first head", head(n.hashes[99]))
	if len(o.Branch) != 64 || o.Branch[0].Height != 36 || o.Cut || *o.Head.Txs != 3 || o.Head.Parent != n.hashes[98] {
		t.Fatalf("%d headers, cut %t, %+v", len(o.Branch), o.Cut, o.Head)
	}
	w.until("commit 99", commitAt(99))
	if p := w.until("peers", kind(chain.KindPeers)); p.Peers.Total != 3 || p.Peers.In+p.Peers.Out != 3 || p.Peers.Crowd == nil || p.Peers.Crowd.All.Own != 3 {
		t.Errorf("%+v", p.Peers)
	}
	w.until("mempool", kind(chain.KindMempool))
	before := n.asked("blockchain")
	for range 5 {
		w.until("the head again", head(n.hashes[99]))
	}
	if after := n.asked("blockchain"); after != before || n.asked("abci_query") != 1 {
		t.Errorf("%d headers asked while nothing changed; the app was asked %d times", after-before, n.asked("abci_query"))
	}
	w.until("next head", head(n.mine("A", 3)))
	w.until("next head", head(n.mine("A")))
	c := w.until("commit 101", commitAt(101)).Comet.Commit
	if c.Absent != 1 || !slices.Equal(c.Missed, []string{"DD33"}) || c.Validators != 4 {
		t.Errorf("%+v", c)
	}
	v := w.mon.View(0)
	if v.Height != 102 || v.Nodes[0].Client != "CometBFT 1.0.1" || len(v.Intervals) != 60 || v.Interval != 1000 {
		t.Errorf("%+v", v)
	}
}

// TestPause: after a pause the missed commits are fetched, a bounded number of them, each once.
func TestPause(t *testing.T) {
	n := newNode(t, 20)
	w := watch(t, Config{URL: n.url()})
	w.until("commit 19", commitAt(19))
	n.mu.Lock()
	n.says = func(w http.ResponseWriter, _ string) bool { w.WriteHeader(502); return true }
	n.mu.Unlock()
	w.until("down", func(o chain.Observation) bool { return o.State == chain.Down })
	for range 400 {
		n.mine("A", 2)
	}
	n.mu.Lock()
	n.says = nil
	n.mu.Unlock()
	o := w.until("the head", head(n.hashes[419]))
	if len(o.Branch) != 256 || !o.Cut {
		t.Errorf("%d headers, cut %t", len(o.Branch), o.Cut)
	}
	first := w.until("the first commit", said(func(s *chain.CometSaid) bool { return s.Commit != nil })).Comet.Commit
	w.until("the last commit", commitAt(419))
	if first.Height != 419-commits+1 {
		t.Errorf("it began at %d", first.Height)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for h, k := range n.heights {
		if k != 1 && h != 20 {
			t.Errorf("commit %d was asked %d times", h, k)
		}
	}
	if f := w.find["hub/validator_missing/CC22"]; !f.Firing {
		t.Errorf("%v", w.find)
	}
}

// TestSilence: while no block comes it is asked where consensus stands, and who is not heard.
func TestSilence(t *testing.T) {
	n := newNode(t, 30)
	w := watch(t, Config{URL: n.url()})
	o := w.until("the round", said(func(s *chain.CometSaid) bool { return s.Round != nil && len(s.Round.Absent) > 0 }))
	if r := o.Comet.Round; r.Height != 31 || r.Step != 4 || r.Prevotes != 0.5 || !slices.Equal(r.Absent, []string{"AA00", "CC22"}) {
		t.Errorf("%+v", r)
	}
}

// TestEvidence: a header that names evidence has its block fetched.
func TestEvidence(t *testing.T) {
	n := newNode(t, 10)
	w := watch(t, Config{URL: n.url()})
	w.until("commit 9", commitAt(9))
	n.mu.Lock()
	n.proof[11] = true
	n.mu.Unlock()
	n.mine("A")
	n.mine("A")
	if c := w.until("commit 11", commitAt(11)).Comet.Commit; len(c.Evidence) != 1 {
		t.Fatalf("%+v", c)
	}
	if f := w.find["hub/double_sign/2ED546C661C597D996FBB6D4D0395E8EF65B520C"]; f.Severity != "SEV1" || n.asked("block") != 1 {
		t.Errorf("%v, %d blocks asked", w.find, n.asked("block"))
	}
}

// TestRewritten: a node that shows another chain has replaced final blocks: where it began is found, and it is SEV1.
func TestRewritten(t *testing.T) {
	n := newNode(t, 30)
	w := watch(t, Config{URL: n.url()})
	w.until("head", head(n.hashes[29]))
	n.mu.Lock()
	n.hashes = n.hashes[:27:27] // in one moment: a node that shows only the cut has gone back
	var tip string
	for h := 28; h <= 32; h++ {
		tip = fmt.Sprintf("B%063d", h)
		n.hashes = append(n.hashes, tip)
	}
	n.mu.Unlock()
	w.until("the other head", head(tip))
	v := w.mon.View(0)
	if len(v.Reorgs) == 0 || v.Reorgs[0].Ancestor.Height != 27 || v.Reorgs[0].Depth != 3 {
		t.Fatalf("%+v", v.Reorgs)
	}
	for _, f := range w.find {
		if f.Kind == chain.FindingReorg && f.Severity == "SEV1" {
			return
		}
	}
	t.Fatalf("%v", w.find)
}

func field(n protowire.Number, v any) []byte {
	switch x := v.(type) {
	case int64:
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), uint64(x))
	case string:
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), []byte(x))
	case []byte:
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), x)
	}
	panic(v)
}

// TestApp: slashing records, names, jail and the upgrade plan, in the protobuf of the Cosmos SDK. The address is that of the bytes 0 to 19.
func TestApp(t *testing.T) {
	key := strings.Repeat("k", 32)
	n := newNode(t, 20)
	n.members = append(n.members, "3B0C1C4D4B65E1BCCBA4A9B08E9DB13C1D4B9C02")
	pub := field(1, key)
	any := append(field(1, "/cosmos.crypto.ed25519.PubKey"), field(2, pub)...)
	n.app["/cosmos.staking.v1beta1.Query/Validators"] = field(1, slices.Concat(field(1, "cosmosvaloper1x"), field(2, any), field(3, int64(1)), field(7, field(1, "Old & Sons"))))
	n.app["/cosmos.slashing.v1beta1.Query/Params"] = field(1, slices.Concat(field(1, int64(10000)), field(2, "50000000000000000")))
	n.app["/cosmos.slashing.v1beta1.Query/SigningInfos"] = slices.Concat(
		field(1, slices.Concat(field(1, "cosmosvalcons1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrk363e"), field(4, field(1, int64(4102444800))), field(6, int64(321)))),
		field(1, slices.Concat(field(1, "not an address"), field(5, int64(1)))))
	n.app["/cosmos.upgrade.v1beta1.Query/CurrentPlan"] = field(1, slices.Concat(field(1, "v20"), field(3, int64(12345)), field(4, "info")))
	w := watch(t, Config{URL: n.url()})
	s := w.until("slashing", said(func(s *chain.CometSaid) bool { return s.Slashing != nil })).Comet.Slashing
	if s.Window != 10000 || s.MinSigned != 0.05 || len(s.Infos) != 2 || s.Infos[0].Address != "000102030405060708090A0B0C0D0E0F10111213" || s.Infos[0].Missed != 321 || s.Infos[0].JailedUntil != 4102444800000 || !s.Infos[1].Tombstoned {
		t.Errorf("%+v", s)
	}
	if u := w.until("plan", said(func(s *chain.CometSaid) bool { return s.Upgrade != nil })).Comet.Upgrade; *u != (chain.CometUpgrade{Name: "v20", Height: 12345}) {
		t.Errorf("%+v", u)
	}
	n.mu.Lock()
	n.app["/cosmos.upgrade.v1beta1.Query/CurrentPlan"] = nil // no plan is an empty answer
	n.mu.Unlock()
	w.until("no plan", said(func(s *chain.CometSaid) bool { return s.Upgrade != nil && s.Upgrade.Height == 0 }))
}

// TestWrong: a node that is another one, catches up, hides methods, limits us, or sends nonsense.
func TestWrong(t *testing.T) {
	t.Run("other chain", func(t *testing.T) {
		n := newNode(t, 3)
		w := watch(t, Config{URL: n.url(), ChainID: "cosmoshub-4"})
		if o := w.until("state", kind(chain.KindState)); o.State != chain.WrongChain || o.Reason != "It serves chain test-1, not cosmoshub-4." {
			t.Fatalf("%+v", o)
		}
	})
	t.Run("catching up", func(t *testing.T) {
		n := newNode(t, 30)
		n.behind = true
		w := watch(t, Config{URL: n.url()})
		if o := w.until("state", kind(chain.KindState)); o.State != chain.Syncing || !strings.HasPrefix(o.Reason, "It is catching up: block 30, of 2026-") {
			t.Fatalf("%+v", o)
		}
		w.until("head", head(n.hashes[29]))
		w.until("peers", kind(chain.KindPeers))
		if n.asked("commit") != 0 {
			t.Error("old commits were asked for")
		}
	})
	t.Run("methods hidden", func(t *testing.T) {
		n := newNode(t, 30)
		n.says = func(w http.ResponseWriter, m string) bool {
			if m == "status" {
				return false
			}
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`)
			return true
		}
		w := watch(t, Config{URL: n.url()})
		for range 10 {
			w.until("head", head(n.hashes[29]))
		}
		if n.asked("consensus_state") != 1 || n.asked("validators") != 1 || n.asked("net_info") != 1 {
			t.Error("what is hidden was asked again")
		}
		w.until("next head", head(n.mine("A")))
	})
	t.Run("limited", func(t *testing.T) {
		n := newNode(t, 5)
		n.says = func(w http.ResponseWriter, m string) bool {
			if m == "status" {
				return false
			}
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
			return true
		}
		w := watch(t, Config{URL: n.url()})
		for range 10 {
			w.until("head", head(n.hashes[4]))
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if total := n.calls["blockchain"] + n.calls["commit"] + n.calls["net_info"] + n.calls["validators"] + n.calls["consensus_state"]; total != 1 {
			t.Errorf("asked on: %v", n.calls)
		}
	})
	for name, body := range map[string]string{
		"nonsense":   "<html>",
		"empty":      `{"jsonrpc":"2.0","id":1,"result":{}}`,
		"no number":  `{"jsonrpc":"2.0","id":1,"result":{"node_info":{"network":"x"},"sync_info":{"latest_block_height":"many"}}}`,
		"deep":       `{"jsonrpc":"2.0","id":1,"result":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"large":      `{"jsonrpc":"2.0","id":1,"result":"` + strings.Repeat("x", 9<<20) + `"}`,
		"wrong list": `{"jsonrpc":"2.0","id":1,"result":[1,2,3]}`,
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, 3)
			n.says = func(w http.ResponseWriter, _ string) bool { fmt.Fprint(w, body); return true }
			w := watch(t, Config{URL: n.url()})
			if o := w.until("state", kind(chain.KindState)); o.State != chain.Down || o.Reason == "" || strings.Contains(o.Reason, "hunter") {
				t.Fatalf("%+v", o)
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		n := newNode(t, 3)
		w := watch(t, Config{URL: n.url(), Timeout: 100 * time.Millisecond})
		w.until("head", head(n.hashes[2]))
		hold := make(chan struct{})
		t.Cleanup(func() { close(hold) })
		n.mu.Lock()
		n.says = func(http.ResponseWriter, string) bool { n.mu.Unlock(); <-hold; n.mu.Lock(); return true }
		n.mu.Unlock()
		if o := w.until("down", func(o chain.Observation) bool { return o.State == chain.Down }); !strings.Contains(o.Reason, "did not answer in time") {
			t.Fatalf("%+v", o)
		}
	})
}

func TestProbe(t *testing.T) {
	n := newNode(t, 8)
	r, _, err := hostile.Again(func() (chain.Recognised, error, error) { return Probe(context.Background(), n.url()) })
	if want := (chain.Recognised{Family: chain.Comet, ChainID: "test-1", Name: "CometBFT chain test-1", Head: 8, Client: "CometBFT 1.0.1"}); err != nil || r != want {
		t.Errorf("%+v %v", r, err)
	}
	if _, _, err := Probe(context.Background(), "ftp://x"); err == nil {
		t.Error("no error")
	}
}
