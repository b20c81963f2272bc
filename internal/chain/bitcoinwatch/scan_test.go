package bitcoinwatch

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// TestScanWaits: Bitcoin Core does one scan at a time. While it does another, nothing is given up, and it is not asked all the time.
func TestScanWaits(t *testing.T) {
	n := startFake(t)
	busy := true
	n.says = func(method string, _ []json.RawMessage) (int, string) {
		switch {
		case method == "scantxoutset" && busy:
			return http.StatusInternalServerError, `{"result":null,"error":{"code":-8,"message":"Scan already in progress, use action \"abort\" or \"status\""},"id":1}`
		case method == "scantxoutset":
			return n.scanResult(hash{7}.String() + ":0 2.5 " + hex.EncodeToString(somebody(0)))
		}
		return 0, ""
	}
	p := n.part(Spec{Scan: true, Addresses: []Address{{"ours", person(0)}}})
	n.read(p)
	for i := range scanTries + 2 {
		for range 3 {
			if err := p.start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if asked := n.count("scantxoutset"); asked != i+1 || p.scanFails != 0 {
			t.Fatalf("asked %d times in %d pauses, %d tries counted", asked, i+1, p.scanFails)
		}
		p.scanNext = time.Time{}
	}
	if n.count("searchrawtransactions") > 0 {
		t.Error("a node that scans was asked for btcd's index")
	}
	n.mu.Lock()
	busy = false
	n.mu.Unlock()
	if err := p.start(t.Context()); err != nil || p.samples["tocsin_watch_balanceours"] != 2.5 {
		t.Errorf("the scan after the other: %v, %v", err, p.samples)
	}
}

// TestSeekOneByOne: followed addresses are looked for one after the other, after the own scan and never beside it; one that holds too much
// fails alone, and a node that does another scan is waited for.
func TestSeekOneByOne(t *testing.T) {
	n := startFake(t)
	mode := "busy"
	var scans []string
	n.says = func(method string, params []json.RawMessage) (int, string) {
		if method != "scantxoutset" {
			return 0, ""
		}
		asked := ""
		for who := range 4 {
			if strings.Contains(string(params[1]), hex.EncodeToString(somebody(who))) {
				asked += string(rune('0' + who))
			}
		}
		scans = append(scans, asked)
		switch {
		case mode == "busy":
			return http.StatusInternalServerError, rpcError(-8)
		case asked == "1":
			return http.StatusOK, strings.Repeat(" ", dial.MaxAnswer+1)
		case asked == "2":
			return n.scanResult(hash{7}.String() + ":2 1 " + hex.EncodeToString(somebody(2)))
		}
		return n.scanResult()
	}
	p := n.part(Spec{Scan: true, Addresses: []Address{{"ours", person(0)}}})
	p.Follow([]string{person(1), person(2), person(3)})
	p.follow()
	n.read(p)
	var tasks sync.WaitGroup
	look := func() {
		t.Helper()
		p.scanNext = time.Time{}
		before := n.count("scantxoutset")
		if err := p.seek(t.Context(), &tasks); err != nil {
			t.Fatal(err)
		}
		p.scanNext = time.Time{}
		if p.followed.seeking {
			p.exact = false // as after a block that could not be had
			if err := p.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.exact = true
			tasks.Wait()
			if asked := n.count("scantxoutset") - before; asked != 1 {
				t.Errorf("%d scans at one node", asked)
			}
		}
	}
	look()
	if len(scans) != 0 {
		t.Fatalf("looked for %v before the own scan", scans)
	}
	n.mu.Lock()
	mode = ""
	n.mu.Unlock()
	if err := p.start(t.Context()); err != nil || !p.exact {
		t.Fatalf("own scan: %v", err)
	}
	n.mu.Lock()
	mode, scans = "busy", nil
	n.mu.Unlock()
	for range seekTries + 2 {
		look()
	}
	if len(p.followed.unknown) != 3 {
		t.Fatalf("a busy node was given up: %v", p.followed.unknown)
	}
	for _, tries := range p.followed.unknown {
		if tries != 0 {
			t.Errorf("a busy node counts as a try: %v", p.followed.unknown)
		}
	}
	n.mu.Lock()
	mode, scans = "", nil
	n.mu.Unlock()
	for range 8 {
		look()
	}
	if len(p.followed.unknown) != 1 || p.samples["tocsin_watch_followed"] != 2 {
		t.Errorf("not known are %v, followed %v", p.followed.unknown, p.samples["tocsin_watch_followed"])
	}
	if _, held := p.coins[outpoint{hash{7}, 2}]; !held {
		t.Error("what the second holds is not known")
	}
	for range seekTries {
		p.followed.next = time.Time{}
		look()
		look()
	}
	if len(p.followed.unknown) != 0 {
		t.Errorf("the one that holds too much is looked for for ever: %v", p.followed.unknown)
	}
	one := 0
	for _, s := range scans {
		if len(s) != 1 {
			t.Errorf("looked for %q at once", s)
		}
		if s == "1" {
			one++
		}
	}
	if one != seekTries {
		t.Errorf("looked for the one that holds too much %d times: %v", one, scans)
	}
}
