package app

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/internal/wallet"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// chooser is an application that knows one chain, "Main net", and its id.
func chooser(t *testing.T) (a *App, evm string) {
	t.Helper()
	c, err := config.Load("../config/testdata/tocsin.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	a = &App{opt: Options{Config: c, Logger: slog.New(slog.DiscardHandler)}, db: mem.New()}
	a.flow = &flow{app: a}
	if a.watches, err = newWatch(a, c); err != nil {
		t.Fatal(err)
	}
	evm = a.watches.Chains()[0]
	a.chain = &chains{app: a, fixed: []telemetry.Chain{{Name: evm}}, names: map[string]string{evm: "Main net"}}
	return a, evm
}

// TestFollowedAreBounded: attackers come first, then the newest; what is above the bound is said; an exercise has nobody followed.
func TestFollowedAreBounded(t *testing.T) {
	a, evm := chooser(t)
	address := func(i int) string { return fmt.Sprintf("0x%040x", i) }
	rooms := []incident.State{{Number: 7}, {Number: 8, Drill: true, Addresses: []incident.Address{{Chain: evm, Address: address(900), Kind: incident.AddressAttacker}}}}
	for i := range followMost + 5 {
		rooms[0].Addresses = append(rooms[0].Addresses, incident.Address{Chain: "main NET", Address: address(i), Kind: incident.AddressOther, At: int64(i)})
	}
	rooms[0].Addresses[0].Kind = incident.AddressAttacker
	lists, says := a.toFollow(rooms)
	if len(lists) != 1 || len(lists[evm]) != followMost || lists[evm][0] != address(0) || lists[evm][1] != address(6) {
		t.Errorf("%d lists, %d of %s: %v", len(lists), len(lists[evm]), evm, lists[evm])
	}
	for i, want := range map[int]string{0: "are followed since incident #7", 5: "not followed: 50 addresses are", 6: "are followed since", followMost + 4: "are followed since", 900: ""} {
		if got := says[evm+"/"+address(i)]; !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
	again, _ := a.toFollow(append([]incident.State{{Number: 9, Addresses: rooms[0].Addresses[:1]}}, rooms...)) // in two incidents it is one
	if len(again[evm]) != followMost {
		t.Errorf("%d", len(again[evm]))
	}
}

// TestWhoDealsWithEverybodyIsNotFollowed: whom one incident lists as an exchange is not followed because another lists the same address as
// something else, in whatever order; as an attacker it is, and that is said.
func TestWhoDealsWithEverybodyIsNotFollowed(t *testing.T) {
	a, evm := chooser(t)
	const upper, lower = "0xABCDEF0000000000000000000000000000000001", "0xabcdef0000000000000000000000000000000001"
	entry := func(room int64, address string, k incident.AddressKind, at int64) incident.State {
		return incident.State{Number: room, Addresses: []incident.Address{{Chain: evm, Address: address, Kind: k, At: at}}}
	}
	for name, c := range map[string]struct {
		rooms []incident.State
		says  string
		n     int
	}{
		"an older victim":         {[]incident.State{entry(1, upper, incident.AddressVictim, 10), entry(2, lower, incident.AddressExchange, 20)}, "not followed: an exchange", 0},
		"a newer other":           {[]incident.State{entry(1, lower, incident.AddressBridge, 10), entry(2, lower, incident.AddressOther, 20)}, "not followed: an exchange", 0},
		"an older attacker":       {[]incident.State{entry(1, lower, incident.AddressAttacker, 10), entry(2, upper, incident.AddressExchange, 20)}, "since incident #1 lists it, until that is closed. Those before are not known. It is listed as an exchange too: as an attacker it is followed", 1},
		"an exchange of a drill":  {[]incident.State{entry(1, lower, incident.AddressVictim, 10), {Number: 2, Drill: true, Addresses: entry(2, lower, incident.AddressExchange, 20).Addresses}}, "are followed since incident #1", 1},
		"an attacker of a drill":  {[]incident.State{{Number: 1, Drill: true, Addresses: entry(1, lower, incident.AddressAttacker, 10).Addresses}, entry(2, lower, incident.AddressMixer, 20)}, "not followed: an exchange", 0},
		"an attacker and nothing": {[]incident.State{entry(1, lower, incident.AddressAttacker, 10)}, "Those before are not known.", 1},
	} {
		lists, says := a.toFollow(c.rooms)
		if got := says[wallet.ID(evm, lower)]; len(lists[evm]) != c.n || !strings.Contains(got, c.says) || strings.Contains(got, "listed as") != strings.Contains(c.says, "listed as") {
			t.Errorf("%s: %v, %q", name, lists, got)
		}
	}
}
