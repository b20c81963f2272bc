package chain

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected lines of testdata/*.txt")

// TestGolden plays the scripts of testdata: lines are inputs, lines indented by two spaces are what came of the input above them.
//
//	chain NAME FAMILY CHAINID nodes=a,b [routine=N] [confirmations=N] [interval=MS]
//	resume KEY
//	@MS NODE up|down|syncing|wrong_chain REASON...
//	@MS NODE head|rollback HEIGHT HASH PARENT [t=MS] [cut] [branch=HEIGHT:HASH:PARENT,...]
//	@MS NODE finality SAFE FINALIZED | tips HEIGHT:HASH:BRANCH:STATUS,...
//	@MS NODES mine FROM N every=MS as=PREFIX on=PARENT     a block of every node each MS, ticks between
//	@MS tick [UNTIL]                                        a tick each second
//	silent NODES                                            from now on they say nothing by themselves (others repeat their head at each tick)
//	view                                                    prints the view
//	samples                                                 prints the names and values since the last one
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
			got := play(t, string(raw))
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

type player struct {
	t       *testing.T
	m       *Monitor
	out     strings.Builder
	samples []Sample
	silent  map[string]bool
}

// tick lets a second pass; nodes that are up repeat their head, as a poll does.
func (p *player) tick(at int64) {
	for _, n := range p.m.nodes {
		if n.ok() && n.has && !p.silent[n.name] {
			b := n.head
			p.done(p.m.Observe(Observation{At: at, Node: n.name, Kind: KindHead, How: n.how, Head: &b}))
		}
	}
	p.done(p.m.Tick(at))
}

func play(t *testing.T, script string) string {
	p := &player{t: t}
	for line := range strings.SplitSeq(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		p.out.WriteString(line + "\n")
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(line, "#") {
			p.line(f)
		}
	}
	return p.out.String()
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
			}
		}
		p.m, p.silent = NewMonitor(c), map[string]bool{}
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
		o.State, o.Reason = NodeState(f[2]), strings.Join(f[3:], " ")
	case "head", "rollback":
		o.Kind, o.How = Kind(f[2]), Subscribed
		o.Head = &Block{Height: num(f[3]), Hash: f[4], Parent: f[5], Time: at, SeenAt: at}
		if v, ok := opt["t"]; ok {
			o.Head.Time = num(v)
		}
		_, o.Cut = opt["cut"]
		for b := range strings.SplitSeq(opt["branch"], ",") {
			if g := strings.Split(b, ":"); len(g) == 3 {
				o.Branch = append(o.Branch, Block{Height: num(g[0]), Hash: g[1], Parent: g[2], Time: at})
			}
		}
	case "finality":
		o.Kind, o.Finality = KindFinality, &Finality{Safe: num(f[3]), Finalized: num(f[4])}
	case "tips":
		o.Kind = KindTips
		for b := range strings.SplitSeq(f[3], ",") {
			g := strings.Split(b, ":")
			o.Tips = append(o.Tips, Tip{Height: num(g[0]), Hash: g[1], Branch: num(g[2]), Status: g[3]})
		}
	case "mine":
		parent := opt["on"]
		for h := num(f[3]); h < num(f[3])+num(f[4]); h++ {
			hash := fmt.Sprintf("%s%d", opt["as"], h)
			for _, n := range nodes {
				b := Block{Height: h, Hash: hash, Parent: parent, Time: at, SeenAt: at}
				p.done(p.m.Observe(Observation{At: at, Node: n, Kind: KindHead, How: Subscribed, Head: &b}))
			}
			parent = hash
			for next := at + num(opt["every"]); at < next; at += max(min(1000, next-at), 1) {
				p.tick(at)
			}
		}
		return
	default:
		p.t.Fatalf("unknown line %q", f)
	}
	p.done(p.m.Observe(o))
}

func (p *player) done(o Outcome) {
	p.samples = append(p.samples, o.Samples...)
	for _, f := range o.Findings {
		word := "OPEN "
		if !f.Firing {
			word = "CLEAR"
		}
		fmt.Fprintf(&p.out, "  %d %s %s %s | %s | %s\n", f.At, word, f.Severity, f.Key, f.Title, f.Reason)
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
