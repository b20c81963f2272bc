package chain

import (
	"fmt"
	"strings"
	"testing"
)

// spread is a side of n peers, each in a network of its own.
func spread(from, n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%d.%d.0.0/16:1", 11+(from+i)/200, (from+i)%200))
	}
	return strings.Join(out, ",")
}

// scene writes scripts of two nodes of two operators with a block a minute; who n1's peers are is told each minute.
type scene struct {
	strings.Builder
	at     int64 // minutes
	height int
}

func newScene(nodes string) *scene {
	s := &scene{height: 100}
	fmt.Fprintf(s, "chain x evm 4242 nodes=%s interval=60000\n", nodes)
	return s
}

func (s *scene) peers(spec string) { fmt.Fprintf(s, "@%d n1 peers %s\n", s.at*60000, spec) }

func (s *scene) pass(minutes int, nodes string) {
	fmt.Fprintf(s, "@%d %s mine %d %d every=60000 as=a on=a%d step=20000\n", s.at*60000, nodes, s.height, minutes, s.height-1)
	s.at, s.height = s.at+int64(minutes), s.height+minutes
}

func (s *scene) say(line string) { fmt.Fprintf(s, "@%d %s\n", s.at*60000, line) }

const aDay = 25 * 60

// conspicuous gives the lines about peers of a script's findings.
func conspicuous(t *testing.T, script string) string {
	t.Helper()
	all, _ := play(t, script, 0)
	var out []string
	for line := range strings.SplitSeq(all, "\n") {
		if strings.HasPrefix(line, "  ") && (strings.Contains(line, "/sybil/") || strings.Contains(line, "/peers_") || strings.Contains(line, "/eclipse/")) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// TestInnocentPeers: what happens to honest nodes makes no finding, not even a weak one.
func TestInnocentPeers(t *testing.T) {
	const both = "n1,n2"
	for name, write := range map[string]func(s *scene){
		"the node is restarted and finds others": func(s *scene) {
			s.peers("out=" + spread(0, 8) + " ids=1-8")
			s.pass(aDay, both)
			s.say("n1 down connection refused")
			s.say("n1 up")
			s.peers("out=" + spread(50, 8) + " ids=101-108")
			s.pass(120, both)
		},
		"the node is updated": func(s *scene) {
			s.say("n1 up client=Geth/v1.16.0")
			s.peers("out=" + spread(0, 8) + " ids=1-8")
			s.pass(aDay, both)
			s.say("n1 up client=Geth/v1.17.0")
			s.peers("out=" + spread(50, 8) + " ids=101-108")
			s.pass(120, both)
		},
		"another program takes its place": func(s *scene) {
			s.say("n1 up client=Geth/v1.16.0")
			s.peers("out=" + spread(0, 8) + " in=" + spread(20, 20) + " ids=1-8")
			s.pass(aDay, both)
			s.say("n1 up client=Nethermind/v1.30.0")
			s.peers("out=203.0.0.0/16:8 in=198.51.0.0/16:20 ids=101-108")
			s.pass(120, both)
		},
		"a validator behind sentries": func(s *scene) {
			s.peers("out=~4 in=~2")
			s.pass(aDay, both)
			s.peers("out=~3,203.0.0.0/16:2 in=~20 ids=1-2")
			s.pass(60, both)
			s.peers("out=~30 in=~40")
			s.pass(120, both)
		},
		"Tor alone": func(s *scene) {
			s.peers("out=+10 in=+30 ids=1-10")
			s.pass(aDay, both)
			s.peers("out=+10 in=+90 ids=1-5,101-105")
			s.pass(120, both)
		},
		"three peers in one network, replaced": func(s *scene) {
			s.peers("out=11.1.0.0/16:1,12.1.0.0/16:1,13.1.0.0/16:1 ids=1-3")
			s.pass(aDay, both)
			s.peers("out=203.0.0.0/16:3 ids=101-103")
			s.pass(120, both)
		},
		"a private network that grows": func(s *scene) {
			for n := 2; n <= 40; n += 2 {
				s.peers(fmt.Sprintf("out=203.0.0.0/16:%d in=203.0.0.0/16:%d ids=1-%d", n/2, n, n/2))
				s.pass(120, both)
			}
		},
		"a node that finds its peers slowly": func(s *scene) {
			for n := 1; n <= 40; n++ {
				s.peers(fmt.Sprintf("out=%s in=%s ids=1-%d", spread(0, min(n, 8)), spread(20, n), min(n, 8)))
				s.pass(60, both)
			}
		},
		"nobody can call in, and peers come and go": func(s *scene) {
			for n := range 60 {
				s.peers(fmt.Sprintf("out=%s ids=%d-%d", spread(n, 8), n, n+7))
				s.pass(30, both)
			}
		},
		"an AS map is given to the node": func(s *scene) {
			s.peers("out=" + spread(0, 8) + " in=" + spread(20, 24) + " ids=1-8")
			s.pass(aDay, both)
			s.peers("out=AS64500:7,AS64501:1 in=AS64500:20,AS64501:4 ids=1-8")
			s.pass(120, both)
		},
		"directions are told that were not": func(s *scene) {
			s.peers("all=" + spread(0, 30) + " ids=1-30")
			s.pass(aDay, both)
			s.peers("out=203.0.0.0/16:8 in=198.51.0.0/16:22 ids=1-8")
			s.pass(120, both)
		},
		"its network was away": func(s *scene) {
			s.peers("out=" + spread(0, 8) + " ids=1-8")
			s.pass(aDay, both)
			s.peers("out=" + spread(0, 2) + " ids=1-2")
			s.pass(3, both)
			s.peers("out=")
			s.pass(5, both)
			s.peers("out=" + spread(50, 8) + " ids=101-108")
			s.pass(120, both)
		},
		"two servers behind one address": func(s *scene) {
			for i := range aDay {
				s.peers([]string{"out=" + spread(0, 8) + " ids=1-8", "out=" + spread(50, 8) + " ids=101-108"}[i%2])
				s.pass(1, both)
			}
		},
		"who the peers are was not told for a while": func(s *scene) {
			s.peers("out=" + spread(0, 8) + " ids=1-8")
			s.pass(aDay, both)
			s.say("n1 peers none")
			s.pass(20, both)
			s.peers("out=" + spread(50, 8) + " ids=101-108")
			s.pass(120, both)
		},
		"too many to be followed": func(s *scene) {
			s.peers("out=" + spread(0, 200))
			s.pass(aDay, both)
			s.peers("out=" + spread(500, 200))
			s.pass(120, both)
		},
		"the first day": func(s *scene) {
			s.peers("out=" + spread(0, 8) + " in=" + spread(20, 20) + " ids=1-8")
			s.pass(20*60, both)
			s.peers("out=203.0.0.0/16:8 in=198.51.0.0/16:20 ids=101-108")
			s.pass(180, both)
		},
		"behind, with peers as ever": func(s *scene) {
			s.peers("out=" + spread(0, 8) + " ids=1-8")
			s.pass(aDay, both)
			s.pass(60, "n2")
		},
		"some minutes of strange peers": func(s *scene) {
			s.peers("out=" + spread(0, 8) + " in=" + spread(20, 20) + " ids=1-8")
			s.pass(aDay, both)
			s.peers("out=203.0.0.0/16:8 in=198.51.0.0/16:20 ids=1-8")
			s.pass(4, both)
			s.peers("out=" + spread(0, 8) + " in=" + spread(20, 20) + " ids=1-8")
			s.pass(60, both)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(both)
			write(s)
			if got := conspicuous(t, s.String()); got != "" {
				t.Errorf("%s", got)
			}
		})
	}
}

// TestEclipseNeedsAnother: strange peers and a head behind are an alarm only where most independent nodes say so; peers alone are for review.
func TestEclipseNeedsAnother(t *testing.T) {
	strange := func(s *scene, nodes string) {
		s.peers("out=" + spread(0, 8) + " ids=1-8")
		s.pass(aDay, nodes)
		s.peers("out=203.0.0.0/16:8 ids=101-108")
		s.pass(30, nodes)
	}
	for _, c := range []struct {
		name, nodes, with, ahead string
		want                     bool
	}{
		{"a second operator", "n1,n2", "", "n2", true},
		{"its own operator", "n1,n2", " operators=n1:us,n2:US", "n2", false},
		{"a single node", "n1", "", "", false},
		{"most of three", "n1,n2,n3,n4", "", "n2,n3", true},
		{"one of three", "n1,n2,n3,n4", "", "n2", false},
		{"nobody", "n1,n2", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(c.nodes)
			strange(s, c.nodes)
			if c.ahead != "" {
				for range 10 { // the others are heard all the time
					s.pass(1, c.ahead)
				}
			} else {
				s.pass(10, c.nodes)
			}
			script := strings.Replace(s.String(), " interval=", c.with+" interval=", 1)
			got := conspicuous(t, script)
			if !strings.Contains(got, "/peers_concentrated/n1") || !strings.Contains(got, "/peers_replaced/n1") || strings.Contains(got, "SEV2 x/eclipse/n1") != c.want {
				t.Errorf("%s", got)
			}
			if strings.Count(got, "OPEN") > 2+strings.Count(got, "OPEN  SEV2 x/eclipse/n1") || strings.Contains(got, "CLEAR") {
				t.Errorf("to and fro:\n%s", got)
			}
		})
	}
}

// TestSyncingIsNoEclipse: a node that says that it is catching up does not call itself in sync.
func TestSyncingIsNoEclipse(t *testing.T) {
	s := newScene("n1,n2")
	s.peers("out=" + spread(0, 8) + " ids=1-8")
	s.pass(aDay, "n1,n2")
	s.peers("out=203.0.0.0/16:8 ids=101-108")
	s.pass(30, "n1,n2")
	for range 10 {
		s.say("n1 syncing far behind")
		s.pass(1, "n2")
	}
	if got := conspicuous(t, s.String()); strings.Contains(got, "/eclipse/") || strings.Count(got, "CLEAR") != 2 {
		t.Errorf("%s", got)
	}
}

// TestEclipseAfterRestart: the attack that waits for a restart (Heilman et al. 2015) is seen: new peers are natural then, all of them in one
// network are not.
func TestEclipseAfterRestart(t *testing.T) {
	s := newScene("n1,n2")
	s.peers("out=" + spread(0, 8) + " ids=1-8")
	s.pass(aDay, "n1,n2")
	s.say("n1 down connection refused")
	s.say("n1 up")
	s.peers("out=203.0.0.0/16:8 ids=101-108")
	s.pass(20, "n1,n2")
	s.pass(10, "n2")
	got := conspicuous(t, s.String())
	if strings.Contains(got, "/peers_replaced/") || strings.Count(got, "OPEN  SEV4 x/peers_concentrated/n1") != 1 ||
		!strings.Contains(got, "SEV3 x/eclipse/n1 | x: node n1 may be cut off from the network | All 8 outgoing peers of n1 are in 203.0.0.0/16, and its head is 4 blocks behind n2.") {
		t.Errorf("%s", got)
	}
}
