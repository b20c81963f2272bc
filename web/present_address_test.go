package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const thief = "0xb5c55f76f90cc528b2609109ca14d8d84593590e"

// TestAddressesOfARoom: put on the list by the composer and the API, pushed to the page, and taken off again; the words of people stay words.
func TestAddressesOfARoom(t *testing.T) {
	h := newHouse(t)
	h.chains.set(ChainSetting{ID: "eth", Name: "Ethereum", Family: "evm"})
	n := h.declare(incident.Declare{Title: "Router drained", Severity: "SEV1"})
	rita, sam := h.member("rita", auth.RoleResponder, ""), h.member("sam", auth.RoleStakeholder, "clients")
	empty := rita.get("/incidents/1").body
	if !strings.Contains(empty, "No address.") || !strings.Contains(empty, "<code>/addr</code>") {
		t.Error("an empty list is not said")
	}
	seen := rita.watch("incident/1")
	rita.line("", "/addr attacker Ethereum "+thief+" took <b>all</b>").want(http.StatusOK)
	seen.until(func(f frame) bool { return f.Key == "addresses" && strings.Contains(f.HTML, thief) })
	rita.command(n, "add_transaction", map[string]any{"chain": "eth", "tx": "0xa5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5460"}).want(http.StatusOK)
	page := rita.get("/incidents/1").body
	for _, want := range []string{`data-copy="` + thief + `"`, "took &lt;b&gt;all&lt;/b&gt;", "/wallets?around=eth%2F" + thief, `data-command="remove_address"`, `aria-label="Take X1 off the list"`, "Ethereum"} {
		if !strings.Contains(page, want) {
			t.Errorf("the room lacks %s", want)
		}
	}
	if a := sam.command(n, "remove_address", map[string]any{"address": "A1"}); a.status != http.StatusForbidden {
		t.Errorf("a stakeholder takes an address off: %d", a.status)
	}
	doc := rita.get("/api/v1/incidents/1").body
	if !strings.Contains(doc, `"addresses":[{"id":"A1","chain":"eth","address":"`+thief+`","kind":"attacker"`) || !strings.Contains(doc, `"transactions":[{"id":"X1"`) {
		t.Error(head(doc))
	}
	rita.command(n, "remove_address", map[string]any{"address": thief, "chain": "ethereum"}).want(http.StatusOK)
	seen.until(func(f frame) bool { return f.Key == "addresses" && !strings.Contains(f.HTML, thief) })
	if a := rita.command(n, "add_address", map[string]any{"chain": "eth", "address": "0x12", "kind": "other"}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "has 2 digits after 0x") {
		t.Errorf("%d %s", a.status, head(a.body))
	}
}

// TestSignalsSuggestAddresses: what an attached signal is about is offered once, and never taken by itself.
func TestSignalsSuggestAddresses(t *testing.T) {
	h := newHouse(t)
	g := signal.Observation{Key: "eth/fan_out/" + thief, Kind: "fan_out", Chain: "eth", Subject: thief, Title: "Paid 14 new addresses", Severity: "SEV5", Firing: true}
	other := g
	other.Key, other.Subject = "eth/stall/eth", "eth"
	h.submit(g, other)
	rita := h.member("rita", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: "Router drained", Severity: "SEV1"})
	for _, s := range h.signals(rita) {
		rita.command(n, "attach_signal", map[string]any{"signal": s.ID}).want(http.StatusOK)
	}
	h.settle()
	page := rita.get("/incidents/1").body
	if strings.Count(page, "Signals name 1 address that is not on the list") != 1 || !strings.Contains(page, `data-command="add_address"`) {
		t.Error("the address of a signal is not offered")
	}
	if doc := rita.get("/api/v1/incidents/1").body; !strings.Contains(doc, `"addresses":[]`) {
		t.Error("it was taken by itself")
	}
	rita.command(n, "add_address", map[string]any{"chain": "eth", "address": thief, "kind": "attacker"}).want(http.StatusOK)
	h.settle()
	if page = rita.get("/incidents/1").body; strings.Contains(page, "Signals name") {
		t.Error("it is offered although it is there")
	}
}
