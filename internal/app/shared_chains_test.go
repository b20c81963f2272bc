package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// node is a made-up EVM node that stands still, and counts who asks.
func node(t *testing.T, height int) (string, *atomic.Int64) {
	asked := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var call struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params []any           `json:"params"`
		}
		_ = json.NewDecoder(r.Body).Decode(&call)
		height := height
		if len(call.Params) > 0 {
			if n, ok := call.Params[0].(string); ok && strings.HasPrefix(n, "0x") && len(n) < 10 {
				if asked, err := strconv.ParseInt(n[2:], 16, 64); err == nil {
					height = int(asked)
				}
			}
		}
		block := fmt.Sprintf(`{"number":"0x%x","hash":"0x%064x","parentHash":"0x%064x","timestamp":"0x%x"}`, height, height+1, height, time.Now().Unix())
		result := map[string]string{"eth_chainId": `"0x539"`, "net_version": `"1337"`, "eth_blockNumber": fmt.Sprintf(`"0x%x"`, height), "web3_clientVersion": `"fake/1"`, "eth_syncing": "false", "eth_getBlockByNumber": block}[call.Method]
		if result == "" {
			result = "null"
		}
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(call.ID)+`,"result":`+result+`}`)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// TestOneCollects: the chains are watched by one replica, every replica shows
// them and draws their samples, and when the one stops another goes on.
func TestOneCollects(t *testing.T) {
	var asked [3]*atomic.Int64
	c := newCluster(t, 3, func(i int, c *config.Config) {
		var address string
		address, asked[i] = node(t, 100+i) // each replica has a node of its own, so that we see who asks
		c.Chains = []config.Chain{{Name: "test", Family: "evm", Nodes: []config.Node{{Name: fmt.Sprintf("n%d", i), URL: config.NewAddress(address), WS: config.NewAddress("none")}}}}
	})
	leader := func() int {
		n, who := 0, -1
		for i, r := range c.replicas {
			if r.Collecting() {
				n, who = n+1, i
			}
		}
		if n > 1 {
			t.Fatalf("%d replicas collect", n)
		}
		return who
	}
	shows := func(i, height int) bool {
		return strings.Contains(c.replicas[i].must("GET", "/api/v1/chains", ""), fmt.Sprintf(`"height":%d,`, height))
	}
	var charts []*live
	for _, r := range c.replicas {
		charts = append(charts, r.live("chains", websocket.DefaultDialer, bearer(bootstrap)))
	}
	sampled := func(i, who int) bool { return charts[i].has(fmt.Sprintf(`"name":"n%d"`, who)) }
	var was [3]bool
	for range 3 {
		who := -1
		until(t, "somebody collects", func() bool { who = leader(); return who >= 0 })
		was[who] = true
		for i := range c.replicas {
			if was[i] && i != who {
				continue // stopped before
			}
			until(t, fmt.Sprintf("replica %d shows what %d sees", i, who), func() bool { return shows(i, 100+who) })
			until(t, fmt.Sprintf("replica %d draws what %d measures", i, who), func() bool { return sampled(i, who) })
			if !was[i] && asked[i].Load() > 0 {
				t.Errorf("replica %d asked its node %d times while %d collects", i, asked[i].Load(), who)
			}
		}
		c.replicas[who].stop()
		if c.replicas[who].Collecting() {
			t.Errorf("replica %d collects after its end", who)
		}
	}
}

// TestChainsAreAddedEverywhere: a chain added on a replica that does not collect
// is watched by the one that does, and removed again.
func TestChainsAreAddedEverywhere(t *testing.T) {
	c := newCluster(t, 2)
	address, _ := node(t, 7)
	other := c.replicas[0]
	until(t, "somebody collects", func() bool { return c.replicas[0].Collecting() || c.replicas[1].Collecting() })
	if other.Collecting() {
		other = c.replicas[1]
	}
	other.must("POST", "/chains", `{"name":"Testnet","urls":["`+address+`"]}`)
	for _, r := range c.replicas {
		until(t, "it is watched", func() bool { return strings.Contains(r.must("GET", "/api/v1/chains", ""), `"height":7,`) })
		until(t, "the page names it", func() bool { return strings.Contains(r.must("GET", "/chains", ""), "Testnet") })
	}
	if code, out := c.replicas[0].call("POST", "/chains", `{"name":"testnet","urls":["`+address+`"]}`); code != 422 || !strings.Contains(out, "chain_exists") {
		t.Errorf("twice: %d %s", code, out)
	}
	c.replicas[0].must("POST", "/chains/testnet/remove", "")
	for _, r := range c.replicas {
		until(t, "it is gone", func() bool { return !strings.Contains(r.must("GET", "/api/v1/chains", ""), "testnet") })
	}
}

// TestChainRemovedWhileNobodyWatched: what is open of it is ended by the next who
// watches, once; what is open of other chains is not touched by that.
func TestChainRemovedWhileNobodyWatched(t *testing.T) {
	c := newCluster(t, 0)
	log, err := eventlog.Open(t.Context(), c.db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	desk := intake.NewDesk(log, time.Now)
	for _, chain := range []string{"gone", "kept"} {
		o := signal.Observation{Key: chain + "/halt", Kind: "halt", Subject: chain, Title: chain + " stands still", Severity: "SEV2", Firing: true, Chain: chain}
		if _, err := desk.Submit(t.Context(), "chains", "system:telemetry", []signal.Observation{o}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := desk.Submit(t.Context(), "am", "source:am", []signal.Observation{{Key: "x", Title: "An alert names it", Severity: "SEV2", Firing: true, Chain: "gone"}}); err != nil {
		t.Fatal(err)
	}
	address, _ := node(t, 7)
	watches := func(_ int, conf *config.Config) {
		conf.Chains = []config.Chain{{Name: "kept", Family: "evm", Nodes: []config.Node{{Name: "n", URL: config.NewAddress(address), WS: config.NewAddress("none")}}}}
	}
	ended := func() (why []string) {
		for from := int64(0); ; {
			page, err := log.Read(t.Context(), from, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				if e.Type == signal.TypeCleared && strings.Contains(string(e.Data), "no longer watched") {
					why = append(why, string(e.Data))
				}
			}
			if from += int64(len(page)); len(page) == 0 {
				return why
			}
		}
	}
	for i := range 2 {
		r := c.start(i, watches)
		until(t, "it is ended", func() bool { return len(ended()) > 0 })
		until(t, "the other chain is watched", func() bool { return strings.Contains(r.must("GET", "/api/v1/chains", ""), `"height":7,`) })
		r.stop()
		if why := ended(); len(why) != 1 || !strings.Contains(why[0], "gone/halt") {
			t.Fatalf("ended %q", why)
		}
	}
}

// TestDrillOfAnotherReplica: it is seen, not doubled, and can be stopped.
func TestDrillOfAnotherReplica(t *testing.T) {
	c := newCluster(t, 2)
	a, b := c.replicas[0], c.replicas[1]
	if err := a.StartDrill(context.Background(), "polygon-reorg", 1); err != nil {
		t.Fatal(err)
	}
	until(t, "the other replica knows the drill", func() bool { return strings.Contains(b.must("GET", "/drills", ""), "/stop") })
	until(t, "the other replica shows its chain", func() bool { return strings.Contains(b.must("GET", "/api/v1/chains", ""), "polygon") })
	until(t, "a second drill is refused, with who plays the first", func() bool {
		code, out := b.post("/drills", url.Values{"scenario": {"nomad"}, "speed": {"60"}})
		if code < 400 {
			t.Fatalf("a second drill: %d %s", code, out)
		}
		return strings.Contains(out, "is being played, by replica r-")
	})
	until(t, "the other replica stops it", func() bool {
		id := drillOf(b)
		if id == "" {
			return false
		}
		code, _ := b.post("/drills/"+id+"/stop", nil)
		return code < 400
	})
	for _, r := range c.replicas {
		until(t, "the drill's chain is gone", func() bool { return !strings.Contains(r.must("GET", "/api/v1/chains", ""), "polygon") })
	}
}

// TestDrillsOfOneMoment: of replicas that are asked at the same moment one plays;
// when it is stopped, or its replica is, another may.
func TestDrillsOfOneMoment(t *testing.T) {
	c := newCluster(t, 3)
	asked := func(only ...*started) *started {
		t.Helper()
		codes := make([]int, len(only))
		var all sync.WaitGroup
		for i, r := range only {
			all.Go(func() { codes[i], _ = r.post("/drills", url.Values{"scenario": {"nomad"}, "speed": {"1"}}) })
		}
		all.Wait()
		var who *started
		for i, code := range codes {
			switch {
			case code < 300 && who == nil:
				who = only[i]
			case code < 400:
				t.Fatalf("two play: %v", codes)
			}
		}
		return who
	}
	plays := func(only ...*started) (who *started) {
		t.Helper()
		until(t, "somebody plays", func() bool { who = asked(only...); return who != nil }) // who played before may still be leaving the stage
		return who
	}
	over := func(r *started) func() bool {
		return func() bool { return !strings.Contains(r.must("GET", "/drills", ""), "/stop") }
	}
	who := plays(c.replicas...)
	who.form("/drills/"+drillOf(who)+"/stop", nil)
	for _, r := range c.replicas {
		until(t, "the drill is over", over(r))
	}
	who = plays(c.replicas...)
	who.stop()
	var left []*started
	for _, r := range c.replicas {
		if r != who {
			left = append(left, r)
			until(t, "the drill is over", over(r))
		}
	}
	plays(left...)
}

// drillOf is what the drill that a replica shows is stopped by, "" when it shows none.
func drillOf(r *started) string {
	r.t.Helper()
	_, id, _ := strings.Cut(r.must("GET", "/drills", ""), `action="/drills/`)
	id, _, ok := strings.Cut(id, "/stop")
	if !ok {
		return ""
	}
	return id
}
