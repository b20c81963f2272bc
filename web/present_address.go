package web

import (
	"regexp"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	shownAddresses = 100 // addresses, and transactions, listed in a room; the rest are counted
	suggested      = 5   // addresses of signals that a room offers
)

// presentAddresses lists what the incident is about on chains. It depends on the incident alone, as all that is pushed to its room.
func (s *Server) presentAddresses(st incident.State) views.Addresses {
	out := views.Addresses{Number: st.Number, Moved: merged(st)}
	offList := func(command, what, id, undo string, again map[string]any) *views.Action {
		if merged(st) {
			return nil
		}
		remove, back := act("Take off", command, map[string]any{what: id}), act("Put back", undo, again)
		remove.Undo = &back
		return &remove
	}
	for _, a := range st.Addresses[:min(len(st.Addresses), shownAddresses)] {
		again := map[string]any{"chain": a.Chain, "address": a.Address, "kind": string(a.Kind)}
		if a.Label != "" {
			again["label"] = a.Label
		}
		out.Addresses = append(out.Addresses, views.Address{ID: a.ID, Chain: a.Chain, ChainName: s.chainName(a.Chain), Address: a.Address, Kind: string(a.Kind), Label: a.Label,
			Remove: offList("remove_address", "address", a.ID, "add_address", again)})
	}
	for _, x := range st.Transactions[:min(len(st.Transactions), shownAddresses)] {
		again := map[string]any{"chain": x.Chain, "tx": x.Tx}
		if x.Note != "" {
			again["note"] = x.Note
		}
		out.Transactions = append(out.Transactions, views.Transaction{ID: x.ID, ChainName: s.chainName(x.Chain), Tx: x.Tx, Note: x.Note,
			Remove: offList("remove_transaction", "tx", x.ID, "add_transaction", again)})
	}
	out.More = len(st.Addresses) + len(st.Transactions) - len(out.Addresses) - len(out.Transactions)
	if !merged(st) && incident.Open(st) {
		out.Suggested = s.suggestAddresses(st)
	}
	return out
}

// looksLike tells the addresses that detectors name as a subject from what else they name: hexadecimal, bech32 and base58 ones.
var looksLike = regexp.MustCompile(`^(0x[0-9a-fA-F]{40}|[a-z]{1,12}1[02-9ac-hj-np-z]{20,80}|[1-9A-HJ-NP-Za-km-z]{26,44})$`)

// suggestAddresses are the addresses that attached signals are about and that are not on the list.
func (s *Server) suggestAddresses(st incident.State) (out []views.Suggestion) {
	listed := map[string]bool{}
	key := func(chain, address string) string { return strings.ToLower(chain + "/" + address) }
	for _, a := range st.Addresses {
		listed[key(a.Chain, a.Address)] = true
	}
	for _, g := range st.Signals {
		address, _, _ := strings.Cut(g.Subject, ":")
		if g.Chain == "" || !looksLike.MatchString(address) || listed[key(g.Chain, address)] {
			continue
		}
		listed[key(g.Chain, address)] = true
		add, undo := act("Add", "add_address", map[string]any{"chain": g.Chain, "address": address, "kind": "other", "label": cutText(g.Title, incident.MaxTitle)}),
			act("Take off", "remove_address", map[string]any{"chain": g.Chain, "address": address})
		add.Undo = &undo
		out = append(out, views.Suggestion{ChainName: s.chainName(g.Chain), Address: address, Add: add})
		if len(out) == suggested {
			break
		}
	}
	return out
}

// cutText is at most n characters of a text, on one line.
func cutText(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// chainNamed is the id of the chain that somebody names, or the name as it was given when it is not watched.
func (s *Server) chainNamed(name string) string {
	for _, c := range s.Chains.List() {
		if strings.EqualFold(c.Name, strings.TrimSpace(name)) || strings.EqualFold(c.ID, strings.TrimSpace(name)) {
			return c.ID
		}
	}
	return name
}
