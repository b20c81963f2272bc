package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/store"
)

// operated adds to what the detectors are told of chains who runs the nodes of
// those in the configuration, so that two nodes of one operator are one voice
// here as they are for the chains' monitors. What is told stands.
func operated(told []detect.ChainFacts, c config.Config) []detect.ChainFacts {
	out := slices.Clone(told)
	for _, f := range c.Chains {
		i := slices.IndexFunc(out, func(t detect.ChainFacts) bool { return t.Name == slug(f.Name) })
		if i < 0 {
			out = append(out, detect.ChainFacts{Name: slug(f.Name), Family: f.Family, ChainID: f.ChainID})
			i = len(out) - 1
		}
		by := voicesOf(f)
		maps.Copy(by, out[i].Operators)
		out[i].Operators = by
	}
	return out
}

// voicesOf is who runs the nodes of a chain, by the nodes' names.
func voicesOf(f config.Chain) map[string]string {
	t := telemetry.Chain{}
	for _, n := range f.Nodes {
		t.Nodes = append(t.Nodes, telemetry.Node{Name: n.Name, URL: n.Endpoint(), Operator: n.Operator})
	}
	return t.Voices()
}

// pairOf picks the nodes that a watch asks when it names none: the first, and
// the first of another operator, which alone can confirm; else the second.
func pairOf(f config.Chain) []string {
	if len(f.Nodes) == 0 {
		return nil
	}
	by := voicesOf(f)
	out := []string{f.Nodes[0].Name}
	for _, n := range f.Nodes[1:] {
		if !strings.EqualFold(by[n.Name], by[out[0]]) {
			return append(out, n.Name)
		}
	}
	if len(f.Nodes) > 1 {
		out = append(out, f.Nodes[1].Name)
	}
	return out
}

// operatorText refuses what does not name an operator; "" names none.
func operatorText(text string) error {
	text = strings.TrimSpace(text)
	if len([]rune(text)) > 60 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return refuse("text_too_long", "Who runs a node is one line of at most 60 characters. Shorten it.")
	}
	return nil
}

// Operate implements web.Chains. The chain starts again with what is open; when nothing changes it goes on, and nothing is written.
func (c *chains) Operate(ctx context.Context, by auth.Actor, id string, operators map[string]string) error {
	for _, text := range operators {
		if err := operatorText(text); err != nil {
			return err
		}
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	c.mu.Lock()
	fixed := c.index(c.fixed, id) >= 0
	c.mu.Unlock()
	if fixed {
		return refuse("chain_fixed", "This chain stands in the configuration file. Say there who runs its nodes (nodes[].operator) and restart.")
	}
	key := []byte(chainPrefix + id)
	kv, err := c.app.db.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("not_found", "This chain is not watched.")
	}
	if err != nil {
		return fmt.Errorf("read chain %s: %w", id, err)
	}
	var k kept
	if err := json.Unmarshal(kv.Value, &k); err != nil {
		return fmt.Errorf("read chain %s: %w", id, err)
	}
	before := slices.Clone(k.Chain.Nodes)
	for node, text := range operators {
		i := slices.IndexFunc(k.Chain.Nodes, func(n telemetry.Node) bool { return n.Name == node })
		if i < 0 {
			return refuse("unknown_node", "The chain “%s” has no node “%s”. Load the page again.", k.Title, node)
		}
		k.Chain.Nodes[i].Operator = strings.TrimSpace(text)
	}
	c.mu.Lock()
	i := c.index(c.added, id)
	same := i >= 0 && sameOperators(before, k.Chain.Nodes) && sameOperators(c.added[i].Nodes, k.Chain.Nodes) // what was kept and not said is said now
	c.mu.Unlock()
	if same {
		return nil
	}
	value, err := json.Marshal(k)
	if err != nil {
		return err
	}
	_, err = c.app.db.Commit(ctx, store.Txn{If: []store.Cond{{Key: key, Rev: kv.Rev}}, Then: []store.Op{{Key: key, Value: value}}})
	if errors.Is(err, store.ErrConflict) {
		return refuse("chain_changed", "Somebody else has changed this chain meanwhile. Look at it and try again.")
	}
	if err != nil {
		return fmt.Errorf("keep chain %s: %w", id, err)
	}
	if err := c.record(ctx, by, "chain.operated", map[string]any{"id": id, "operators": k.Chain.Voices()}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	added := slices.DeleteFunc(slices.Clone(c.added), func(t telemetry.Chain) bool { return t.Name == id })
	c.added = append(added, k.Chain)
	sortChains(c.added)
	return c.applyLocked()
}

func sameOperators(a, b []telemetry.Node) bool {
	return slices.EqualFunc(a, b, func(x, y telemetry.Node) bool { return x.Name == y.Name && x.Operator == y.Operator })
}
