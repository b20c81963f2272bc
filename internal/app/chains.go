package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/drill"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/web"
)

const (
	chainsStream = "chains"
	chainPrefix  = "chains/" // in the store, because addresses carry credentials; never in the log
	maxChains    = 64
)

// chains is which chains are watched: those of the configuration file and those
// added in the page, by the replica that leads the collectors, and those of a
// drill that is played here.
type chains struct {
	app *App

	changing sync.Mutex // one change at a time, also while the store writes
	mu       sync.Mutex // guards what follows, shortly: pages ask under the world's lock
	fixed    []telemetry.Chain
	added    []telemetry.Chain
	drill    []telemetry.Chain
	leading  bool // this replica watches fixed and added
	// drills are the chains of all drills there are, also those that were played
	// before a restart or that another replica plays: their samples are stored
	// here too. As many as the scenarios have.
	drills map[string]bool
	names  map[string]string // id -> display name
}

// kept is an added chain as the store holds it.
type kept struct {
	Title string          `json:"title"`
	Chain telemetry.Chain `json:"chain"`
}

func newChains(ctx context.Context, a *App, fixed []config.Chain) (*chains, error) {
	c := &chains{app: a, drills: map[string]bool{}, names: map[string]string{}}
	for _, s := range drill.All() {
		for _, t := range s.Chains {
			c.drills[t.ID] = true
		}
	}
	for _, f := range fixed {
		t, err := fromConfig(f)
		if err != nil {
			return nil, err
		}
		c.names[t.Name] = f.Name
		c.fixed = append(c.fixed, t)
	}
	for kv, err := range a.db.Scan(ctx, store.Range{From: []byte(chainPrefix), To: []byte(chainPrefix + "\xff")}) {
		if err != nil {
			return nil, fmt.Errorf("read the watched chains: %w", err)
		}
		var k kept
		if err := json.Unmarshal(kv.Value, &k); err != nil {
			return nil, fmt.Errorf("read the watched chain %s: %w", kv.Key, err)
		}
		if c.index(c.fixed, k.Chain.Name) >= 0 {
			continue // the file wins
		}
		c.names[k.Chain.Name] = k.Title
		c.added = append(c.added, k.Chain)
	}
	sortChains(c.added)
	return c, nil
}

func fromConfig(f config.Chain) (telemetry.Chain, error) {
	t := telemetry.Chain{Name: slug(f.Name), Family: chain.Family(f.Family), ChainID: f.ChainID, Routine: f.RoutineReorg, Confirmations: f.Confirmations, Interval: f.BlockInterval.Std(),
		Wait: f.SecondNodeWait.Std(), Poll: f.Poll.Std(), HashPrice: f.HashPrice, OpenDeposits: f.OpenDeposits, Validators: f.Validators, L1: telemetry.L1{URL: f.L1.URL.Reveal(), Inbox: f.L1.Inbox, Batcher: f.L1.Batcher}}
	for _, n := range f.Nodes {
		t.Nodes = append(t.Nodes, telemetry.Node{Name: n.Name, URL: n.Endpoint(), WS: n.Socket(), Operator: n.Operator})
	}
	return t, t.Check()
}

func (c *chains) index(list []telemetry.Chain, id string) int {
	return slices.IndexFunc(list, func(t telemetry.Chain) bool { return t.Name == id })
}

// isDrill tells whether a chain is, or was, fed by a drill. A chain that is
// watched for real is none, whatever its name.
func (c *chains) isDrill(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index(c.drill, id) >= 0 {
		return true
	}
	return c.drills[id] && c.index(c.fixed, id) < 0 && c.index(c.added, id) < 0
}

// title is what people call a chain, "" when it is not known.
func (c *chains) title(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[id]
}

// Views implements web.Telemetry: what is watched here, and what other replicas
// tell of the rest. A monitor that has seen nothing yet does not hide what the
// replica before it saw.
func (c *chains) Views() []chain.View {
	seen := map[string]chain.View{}
	for _, s := range c.app.peers.Seen() {
		seen[s.View.Chain] = s.View
	}
	out := c.app.watch.Views()
	for i, v := range out {
		if s, ok := seen[v.Chain]; ok && v.Height < 0 {
			out[i] = s
		}
		delete(seen, v.Chain)
	}
	for _, s := range c.List() {
		if v, ok := seen[s.ID]; ok {
			out = append(out, v)
		}
	}
	return out
}

// List implements web.Chains. The chains of a drill that another replica plays
// come last.
func (c *chains) List() []web.ChainSetting {
	seen := c.app.peers.Seen()
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []web.ChainSetting{}
	all := slices.Concat(c.fixed, c.added, c.drill)
	for i, t := range all {
		s := web.ChainSetting{ID: t.Name, Name: cmp.Or(c.names[t.Name], t.Name), Family: string(t.Family), Fixed: i < len(c.fixed), Drill: i >= len(c.fixed)+len(c.added)}
		by := t.Voices()
		for _, n := range t.Nodes {
			s.Nodes = append(s.Nodes, n.Name)
			if !s.Drill {
				s.Operators = append(s.Operators, web.ChainOperator{Node: n.Name, Said: n.Operator, Is: by[n.Name]})
			}
		}
		out = append(out, s)
	}
	for _, d := range seen {
		if !d.Drill || c.index(all, d.View.Chain) >= 0 {
			continue
		}
		s := web.ChainSetting{ID: d.View.Chain, Name: cmp.Or(d.Title, d.View.Chain), Family: string(d.View.Family), Drill: true}
		for _, n := range d.View.Nodes {
			s.Nodes = append(s.Nodes, n.Name)
		}
		out = append(out, s)
	}
	return out
}

// Test implements web.Chains.
func (c *chains) Test(ctx context.Context, address string) web.ChainTest {
	r, err := telemetry.Probe(ctx, address)
	if err != nil {
		return web.ChainTest{Head: -1, Says: err.Error()} // the probe's own sentence for people, without secrets
	}
	t := web.ChainTest{OK: true, Chain: r.Name, ChainID: r.ChainID, Family: string(r.Family), Client: r.Client, Head: r.Head, HeadAt: 0}
	t.Says = fmt.Sprintf("This is %s (%s %s), newest block %d.", r.Name, r.Family, r.ChainID, r.Head)
	if r.Syncing != "" {
		t.Says += " " + r.Syncing
	}
	return t
}

func refuse(code, format string, args ...any) error {
	return &auth.Refusal{Code: code, Sentence: fmt.Sprintf(format, args...)}
}

// Add implements web.Chains: every address is asked first, all must be of one chain.
func (c *chains) Add(ctx context.Context, by auth.Actor, title string, nodes []web.ChainNode) error {
	t := telemetry.Chain{}
	for _, n := range nodes {
		if err := operatorText(n.Operator); err != nil {
			return err
		}
		t.Nodes = append(t.Nodes, telemetry.Node{Name: nodeName(n.URL, t.Nodes), URL: n.URL, Operator: strings.TrimSpace(n.Operator)})
	}
	if a, b := t.Twice(); a != "" {
		return refuse("same_address", "%s and %s are one address: a node asked twice confirms nothing. Give the address of another node, or leave one out.", a, b)
	}
	var first chain.Recognised
	for i, n := range t.Nodes {
		u := n.URL
		r, err := telemetry.Probe(ctx, u)
		if err != nil {
			return refuse("node_unusable", "%s: %s", telemetry.Redact(u), err.Error())
		}
		if i == 0 {
			first = r
			t.Family, t.ChainID = r.Family, r.ChainID
		} else if err := telemetry.Expect(r, first.Family, first.ChainID); err != nil {
			return refuse("wrong_chain", "%s: %s All nodes of one entry must serve the same chain.", telemetry.Redact(u), err.Error())
		}
	}
	title = strings.TrimSpace(cmp.Or(strings.TrimSpace(title), first.Name))
	if len(title) > 60 {
		return refuse("text_too_long", "The name is longer than 60 characters. Shorten it.")
	}
	t.Name = slug(title)
	if err := t.Check(); err != nil {
		return refuse("invalid", "%s", err.Error())
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	c.mu.Lock()
	taken, number := c.index(slices.Concat(c.fixed, c.added, c.drill), t.Name) >= 0, len(c.fixed)+len(c.added)
	c.mu.Unlock()
	switch {
	case taken:
		return refuse("chain_exists", "A chain named “%s” is watched already. Give this one another name.", title)
	case number >= maxChains:
		return refuse("too_many", "%d chains are watched already. Stop watching one first.", maxChains)
	}
	value, err := json.Marshal(kept{Title: title, Chain: t})
	if err != nil {
		return err
	}
	key := []byte(chainPrefix + t.Name)
	_, err = c.app.db.Commit(ctx, store.Txn{If: []store.Cond{{Key: key}}, Then: []store.Op{{Key: key, Value: value}}})
	if errors.Is(err, store.ErrConflict) { // another replica was faster
		return refuse("chain_exists", "A chain named “%s” is watched already. Give this one another name.", title)
	}
	if err != nil {
		return fmt.Errorf("keep chain %s: %w", t.Name, err)
	}
	names := []string{}
	for _, n := range t.Nodes {
		names = append(names, n.Name)
	}
	if err := c.record(ctx, by, "chain.added", map[string]any{"id": t.Name, "name": title, "family": t.Family, "chain_id": t.ChainID, "nodes": names, "operators": t.Voices()}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[t.Name] = title
	if c.index(c.added, t.Name) < 0 { // the store may have told us already
		c.added = append(slices.Clone(c.added), t)
		sortChains(c.added)
	}
	return c.applyLocked()
}

// applyLocked makes the supervisor watch what is this replica's.
func (c *chains) applyLocked() error {
	list, elsewhere := c.mine()
	if err := c.app.watch.Set(list, elsewhere...); err != nil {
		return err
	}
	c.app.web.ChainChanged("")
	return nil
}

func (c *chains) record(ctx context.Context, by auth.Actor, typ string, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	id := uuid.Must(uuid.NewV7()).String()
	_, err = c.app.log.Append(ctx, eventlog.Batch{Stream: chainsStream, Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{{ID: id, At: c.app.millis(), Actor: by.String(), Type: typ, Version: 1, Data: raw}}})
	if err != nil {
		return fmt.Errorf("record %s: %w", typ, err)
	}
	return nil
}

// Remove implements web.Chains.
func (c *chains) Remove(ctx context.Context, by auth.Actor, id string) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.mu.Lock()
	fixed, i := c.index(c.fixed, id) >= 0, c.index(c.added, id)
	c.mu.Unlock()
	if fixed {
		return refuse("chain_fixed", "This chain stands in the configuration file. Take it out there and restart.")
	}
	if i < 0 {
		return refuse("not_found", "This chain is not watched.")
	}
	if _, err := c.app.db.Commit(ctx, store.Txn{Then: []store.Op{{Key: []byte(chainPrefix + id), Delete: true}}}); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("forget chain %s: %w", id, err)
	}
	if err := c.record(ctx, by, "chain.removed", map[string]any{"id": id}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.added = slices.DeleteFunc(slices.Clone(c.added), func(t telemetry.Chain) bool { return t.Name == id })
	return c.applyLocked()
}

// SetDrill replaces the chains of a drill; none ends it.
func (c *chains) SetDrill(list []telemetry.Chain, names map[string]string) error {
	c.mu.Lock()
	ended := c.drill
	for id, n := range names {
		c.names[id] = n
	}
	for _, t := range list {
		c.drills[t.Name] = true
	}
	c.drill = list
	err := c.applyLocked()
	c.mu.Unlock()
	if err != nil || !c.app.peers.Shared() {
		return err
	}
	end, cancel := context.WithTimeout(context.Background(), restWithin)
	defer cancel()
	c.app.watch.Settle(end) // then nothing of them is shown any more
	for _, t := range ended {
		if c.index(list, t.Name) < 0 {
			c.app.peers.EndView(t.Name)
		}
	}
	return nil
}

// Inject gives an observation of a drill to its chain's monitor.
func (c *chains) Inject(ctx context.Context, o chain.Observation) error {
	return c.app.watch.Inject(ctx, o)
}

// slug makes an id of a name: lower-case letters, digits and dashes.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String(), "-")
	if len(s) > 48 {
		s = strings.Trim(s[:48], "-")
	}
	return cmp.Or(s, "chain")
}

// nodeName is the host and port of an address, made unique among others.
func nodeName(address string, others []telemetry.Node) string {
	name := "node"
	if u, err := url.Parse(strings.TrimSpace(address)); err == nil && u.Host != "" {
		name = u.Host
	}
	taken := func(n string) bool {
		return slices.ContainsFunc(others, func(o telemetry.Node) bool { return o.Name == n })
	}
	for i, base := 2, name; taken(name); i++ {
		name = base + "-" + strconv.Itoa(i)
	}
	return name
}
