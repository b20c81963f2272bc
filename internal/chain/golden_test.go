package chain

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected lines of testdata/*.txt")

// TestGolden plays the scripts of testdata: lines are inputs, lines indented by two spaces are what came of the input above them.
//
//	chain NAME FAMILY CHAINID nodes=a,b [routine=N] [confirmations=N] [interval=MS] [wait=MS] [hashprice=X] [deposits=X] [operators=NODE:OPERATOR,...]
//	resume KEY
//	@MS NODE up|down|syncing|wrong_chain [client=NAME] [limited=MS] REASON...
//	@MS NODE head|rollback HEIGHT HASH PARENT [t=MS] [miner=X] [cut] [branch=HEIGHT:HASH:PARENT[:MS],...]
//	@MS NODE finality SAFE FINALIZED | tips HEIGHT:HASH:BRANCH:STATUS,... | nohead | hashrate N | mempool MINFEE | deposits USD | made PREFIX FROM N by=X,Y
//	@MS NODES mine FROM N every=MS as=PREFIX on=PARENT [miner=X | miners=X,Y] [step=MS]     a block of every node each MS, ticks between
//	@MS NODE peers in=NETWORK:N,... out=... ids=FROM-TO,...   who its peers are; +N are in no network, ~N are one's own; without directions all=...
//	                                                        they stay so: it is told each minute; "peers none" = not told from now on
//	@MS tick [UNTIL]                                        a tick each second
//	silent NODES                                            from now on they say nothing by themselves (others repeat their head at each tick)
//	view                                                    prints the view
//	samples [NAME...]                                       prints the names and values since the last one; with names, the last value of each
func TestGolden(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) < 8 {
		t.Fatalf("only %d scripts", len(files))
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := play(t, string(raw), 0)
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(raw) {
				w, g := strings.Split(string(raw), "\n"), strings.Split(got, "\n")
				for i := range g {
					if i >= len(w) || w[i] != g[i] {
						t.Fatalf("line %d\n got: %s\nwant: %s\n(run with -update and read the difference)", i+1, g[i], append(w, make([]string, len(g))...)[i])
					}
				}
				t.Fatal("script is longer than what was played")
			}
		})
	}
}

// TestRestartsChangeNothing plays every script with restarts at different places: findings, samples and views are to the letter those without.
func TestRestartsChangeNothing(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			want, inputs := play(t, string(raw), 0)
			for _, every := range []int{inputs/80 + 1, inputs/31 + 2} {
				for i, line := range strings.Split(first(play(t, string(raw), every)), "\n") {
					if w := strings.Split(want, "\n"); i >= len(w) || line != w[i] {
						t.Fatalf("restarted every %d inputs, line %d\n got: %s\nwant: %s", every, i+1, line, append(w, make([]string, i+1)...)[i])
					}
				}
			}
		})
	}
}

type player struct {
	t       *testing.T
	m       *Monitor
	out     strings.Builder
	samples []Sample
	silent  map[string]bool
	crowds  map[string]*Crowd
	every   int // restarts: a monitor takes over the state before every so many inputs, 0 = never
	inputs  int
}

// next counts an input, and restarts when it is time to.
func (p *player) next() *Monitor {
	if p.inputs++; p.every > 0 && p.inputs%p.every == 0 {
		state, err := p.m.MarshalBinary()
		if err != nil {
			p.t.Fatal(err)
		}
		m := NewMonitor(p.m.cfg)
		if err := m.UnmarshalBinary(state); err != nil {
			p.t.Fatal(err)
		}
		m.Resume(m.Open()) // the log holds the same keys
		p.m = m
	}
	return p.m
}

// tick lets a second pass; nodes that are up repeat their head, as a poll does.
func (p *player) tick(at int64) {
	if at%60000 == 0 {
		for _, n := range p.m.nodes {
			if c := p.crowds[n.name]; c != nil && n.ok() && !p.silent[n.name] {
				p.done(p.next().Observe(peersOf(at, n.name, c)))
			}
		}
	}
	for _, n := range p.m.nodes {
		if n.ok() && n.has && !p.silent[n.name] {
			b := n.head
			p.done(p.next().Observe(Observation{At: at, Node: n.name, Kind: KindHead, How: n.how, Head: &b}))
		}
	}
	p.done(p.next().Tick(at))
}

func peersOf(at int64, node string, c *Crowd) Observation {
	return Observation{At: at, Node: node, Kind: KindPeers, Peers: &Peers{Total: c.All.Peers, In: -1, Out: -1, Crowd: c}}
}

// crowdOf reads who a node's peers are.
func crowdOf(opt map[string]string) *Crowd {
	c, all := &Crowd{}, map[string]int64{}
	side := func(spec string) (s Side, groups map[string]int64) {
		groups = map[string]int64{}
		for one := range strings.SplitSeq(spec, ",") {
			name, n, _ := strings.Cut(one, ":")
			switch {
			case name == "":
				continue
			case name[0] == '+':
				n = name[1:]
				s.Unplaced += num(n)
			case name[0] == '~':
				n = name[1:]
				s.Own += num(n)
			default:
				groups[name] += num(n)
				all[name] += num(n)
			}
			s.Peers += num(n)
		}
		return s, groups
	}
	fill := func(s *Side, groups map[string]int64) {
		for name, n := range groups {
			s.Groups++
			if s.By == "" || strings.HasPrefix(name, "AS") {
				if s.By = "prefix"; strings.HasPrefix(name, "AS") {
					s.By = "as"
				}
			}
			s.Top = append(s.Top, PeerGroup{name, n})
		}
		slices.SortFunc(s.Top, func(a, b PeerGroup) int {
			return cmp.Or(cmp.Compare(b.Peers, a.Peers), strings.Compare(a.Name, b.Name))
		})
		s.Top = s.Top[:min(len(s.Top), CrowdTop)]
	}
	if spec, ok := opt["all"]; ok {
		c.All, _ = side(spec)
	} else {
		in, inGroups := side(opt["in"])
		out, outGroups := side(opt["out"])
		fill(&in, inGroups)
		fill(&out, outGroups)
		c.In, c.Out = &in, &out
		c.All = Side{Peers: in.Peers + out.Peers, Own: in.Own + out.Own, Unplaced: in.Unplaced + out.Unplaced}
	}
	fill(&c.All, all)
	for one := range strings.SplitSeq(opt["ids"], ",") {
		if from, to, ok := strings.Cut(one, "-"); ok {
			for id := num(from); id <= num(to); id++ {
				c.IDs = append(c.IDs, uint32(id))
			}
		}
	}
	return c
}

func first(s string, _ int) string { return s }

// play gives what came of a script, and how many inputs it had.
func play(t *testing.T, script string, every int) (string, int) {
	p := &player{t: t, every: every}
	for line := range strings.SplitSeq(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		p.out.WriteString(line + "\n")
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(line, "#") {
			p.line(f)
		}
	}
	return p.out.String(), p.inputs
}

func num(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }

func (p *player) line(f []string) {
	switch f[0] {
	case "chain":
		c := Config{Chain: f[1], Family: Family(f[2]), ChainID: f[3]}
		for _, o := range f[4:] {
			k, v, _ := strings.Cut(o, "=")
			switch k {
			case "nodes":
				c.Nodes = strings.Split(v, ",")
			case "routine":
				c.Routine = int(num(v))
			case "confirmations":
				c.Confirmations = int(num(v))
			case "interval":
				c.Interval = num(v)
			case "wait":
				c.Wait = num(v)
			case "hashprice":
				c.HashPrice, _ = strconv.ParseFloat(v, 64)
			case "deposits":
				c.OpenDeposits = float64(num(v))
			case "operators":
				c.Operators = map[string]string{}
				for one := range strings.SplitSeq(v, ",") {
					node, operator, _ := strings.Cut(one, ":")
					c.Operators[node] = operator
				}
			}
		}
		p.m, p.silent, p.crowds = NewMonitor(c), map[string]bool{}, map[string]*Crowd{}
		return
	case "silent":
		for n := range strings.SplitSeq(f[1], ",") {
			p.silent[n] = true
		}
		return
	case "resume":
		p.m.Resume(f[1:])
		return
	case "samples":
		for _, name := range f[1:] {
			last := "nothing"
			for _, s := range p.samples {
				if s.Name == name {
					last = fmt.Sprintf("%g @%d", s.Value, s.At)
				}
			}
			fmt.Fprintf(&p.out, "  %s %s\n", name, last)
		}
		if len(f) > 1 {
			p.samples = nil
		}
		for _, s := range p.samples {
			fmt.Fprintf(&p.out, "  %s{%s} %g @%d\n", s.Name, s.Labels["node"], s.Value, s.At)
		}
		p.samples = nil
		return
	case "view":
		p.view()
		return
	}
	at := num(f[0][1:])
	if f[1] == "tick" {
		until := at
		if len(f) > 2 {
			until = num(f[2])
		}
		for ; at <= until; at += 1000 {
			p.tick(at)
		}
		return
	}
	nodes := strings.Split(f[1], ",")
	o := Observation{At: at, Node: nodes[0], Kind: KindState}
	opt := map[string]string{}
	for _, w := range f[2:] {
		k, v, _ := strings.Cut(w, "=")
		opt[k] = v
	}
	switch f[2] {
	case "up", "down", "syncing", "wrong_chain":
		o.State, o.Client, o.Limited = NodeState(f[2]), opt["client"], num(opt["limited"])
		o.Reason = strings.Join(slices.DeleteFunc(slices.Clone(f[3:]), func(w string) bool { return strings.HasPrefix(w, "client=") || strings.HasPrefix(w, "limited=") }), " ")
	case "head", "rollback":
		o.Kind, o.How = Kind(f[2]), Subscribed
		o.Head = &Block{Height: num(f[3]), Hash: f[4], Parent: f[5], Time: at, SeenAt: at}
		if v, ok := opt["t"]; ok {
			o.Head.Time = num(v)
		}
		_, o.Cut = opt["cut"]
		o.Head.Miner = opt["miner"]
		for b := range strings.SplitSeq(opt["branch"], ",") {
			if g := strings.Split(b, ":"); len(g) >= 3 {
				o.Branch = append(o.Branch, Block{Height: num(g[0]), Hash: g[1], Parent: g[2], Time: at, Miner: opt["miner"]})
				if len(g) > 3 {
					o.Branch[len(o.Branch)-1].Time = num(g[3])
				}
			}
		}
	case "peers":
		if len(f) == 4 && f[3] == "none" {
			delete(p.crowds, o.Node)
			return
		}
		p.crowds[o.Node] = crowdOf(opt)
		o = peersOf(at, o.Node, p.crowds[o.Node])
	case "nohead":
		o.Kind = KindHead
	case "hashrate":
		rate, _ := strconv.ParseFloat(f[3], 64)
		o.Kind, o.HashRate = KindHashRate, rate
	case "deposits":
		o.Kind, o.Node, o.Deposits = KindDeposits, "", float64(num(f[3]))
	case "made":
		o.Kind = KindMiners
		by := strings.Split(opt["by"], ",")
		for i := int64(0); len(f) > 5 && i < num(f[5]); i++ {
			h := num(f[4]) + i
			o.Miners = append(o.Miners, Mined{fmt.Sprint(f[3], h), by[h%int64(len(by))]})
		}
	case "mempool":
		fee, _ := strconv.ParseFloat(f[3], 64)
		o.Kind, o.Mempool = KindMempool, &Mempool{Pending: 1, MinFee: fee}
	case "finality":
		o.Kind, o.Finality = KindFinality, &Finality{Safe: num(f[3]), Finalized: num(f[4])}
	case "tips":
		o.Kind = KindTips
		for b := range strings.SplitSeq(f[3], ",") {
			g := strings.Split(b, ":")
			o.Tips = append(o.Tips, Tip{Height: num(g[0]), Hash: g[1], Branch: num(g[2]), Status: g[3]})
		}
	case "mine":
		parent, step := opt["on"], int64(1000)
		if v, ok := opt["step"]; ok {
			step = num(v)
		}
		for h := num(f[3]); h < num(f[3])+num(f[4]); h++ {
			hash := fmt.Sprintf("%s%d", opt["as"], h)
			for _, n := range nodes {
				b := Block{Height: h, Hash: hash, Parent: parent, Time: at, SeenAt: at, Miner: opt["miner"]}
				if miners := strings.Split(opt["miners"], ","); len(miners) > 1 {
					b.Miner = miners[h%int64(len(miners))]
				}
				p.done(p.next().Observe(Observation{At: at, Node: n, Kind: KindHead, How: Subscribed, Head: &b}))
			}
			parent = hash
			for next := at + num(opt["every"]); at < next; at += max(min(step, next-at), 1) {
				p.tick(at)
			}
		}
		return
	default:
		p.t.Fatalf("unknown line %q", f)
	}
	p.done(p.next().Observe(o))
}

func (p *player) done(o Outcome) {
	p.samples = append(p.samples, o.Samples...)
	for _, f := range o.Findings {
		word := "OPEN "
		if !f.Firing {
			word = "CLEAR"
		}
		verified := ""
		if f.Verification != NotNeeded {
			verified = fmt.Sprintf(" [%s by %s]", f.Verification, strings.Join(f.Seen, ","))
		}
		fmt.Fprintf(&p.out, "  %d %s %s %s | %s | %s%s\n", f.At, word, f.Severity, f.Key, f.Title, f.Reason, verified)
	}
}

func (p *player) view() {
	v := p.m.View(0)
	fmt.Fprintf(&p.out, "  %s | %s | height %d age %d safe %d final %d | every %d ms, regular %t, stall after %d, learned %t | %d intervals, %d reorgs, %d findings\n",
		v.Status, v.Sentence, v.Height, v.HeadAge, v.Safe, v.Finalized, v.Interval, v.Regular, v.StallAfter, v.Learned, len(v.Intervals), len(v.Reorgs), len(v.Findings))
	for _, n := range v.Nodes {
		fmt.Fprintf(&p.out, "  %s %s height %d lag %d | %s\n", n.Name, n.State, n.Height, n.Lag, n.Reason)
	}
	for _, r := range v.Reorgs {
		fmt.Fprintf(&p.out, "  reorg depth %d atleast %t ancestor %d %s old %s new %s routine %t by %v\n", r.Depth, r.AtLeast, r.Ancestor.Height, r.Ancestor.Hash, r.Old.Hash, r.New.Hash, r.Routine, r.Nodes)
	}
}
