package attention_test

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

	"github.com/tocsin-ops/tocsin/internal/attention"
)

var update = flag.Bool("update", false, "write what the scripts expect anew")

// TestScripts plays testdata/*.txt. A script begins with "== title". Its lines:
//
//	rules floor SEV3 quiet pages-only until 10:00
//	open 42 SEV1 [drill] Hot wallet drained    an incident; a number that is open is changed
//	many 101 60 SEV3                           sixty incidents from #101 on
//	close 42
//	page p1 42 bridge on call                  a page to the person about an incident
//	answer p1                                  it does not wait any more
//	person bob                                 who is signed in
//	lag 5                                      the next state is 5 positions behind
//	state 00:10                                the state reaches the desktop
//	until 02:00                                the clock goes on, asked every second
//	title
//
// Lines that begin with > are what is shown and taken back then.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	count := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(strings.TrimSpace(string(text)), "\n== ")
		out := strings.TrimSpace(head) + "\n"
		for _, body := range strings.Split(rest, "\n== ") {
			count++
			title, _, _ := strings.Cut(body, "\n")
			t.Run(strings.TrimSuffix(filepath.Base(f), ".txt")+"/"+title, func(t *testing.T) {
				got := play(t, body)
				out += "\n== " + got + "\n"
				if !*update && got != strings.TrimSpace(body) {
					t.Errorf("%s\n---- got\n%s\n---- want\n%s", f, got, body)
				}
			})
		}
		if *update {
			if err := os.WriteFile(f, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d scripts were played", count)
	}
}

// desktop is one in a script.
type desktop struct {
	mem   attention.Memory
	rules attention.Rules
	clock int64
	room  []attention.Incident
	pages []attention.Page
	who   string
	pos   int64
	lag   int64
}

func play(t *testing.T, script string) string {
	t.Helper()
	d := desktop{who: "ana", pos: 1000}
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		if strings.HasPrefix(line, ">") {
			continue
		}
		out = append(out, strings.TrimRight(line, " "))
		if f := strings.Fields(line); len(out) > 1 && len(f) > 0 {
			out = append(out, d.do(t, f)...)
		}
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

func (d *desktop) do(t *testing.T, f []string) (said []string) {
	t.Helper()
	d.pos++
	switch f[0] {
	case "rules":
		d.rules = attention.Rules{}
		for i := 1; i+1 < len(f); i += 2 {
			switch f[i] {
			case "floor":
				d.rules.Floor = f[i+1]
			case "quiet":
				d.rules.Quiet = attention.Quiet(f[i+1])
			case "until":
				d.rules.Until = moment(t, f[i+1])
			default:
				t.Fatalf("rules know no %q", f[i])
			}
		}
	case "open":
		i := attention.Incident{Number: num(t, f[1]), Severity: f[2], Status: "investigating"}
		f = f[3:]
		if len(f) > 0 && f[0] == "drill" {
			i.Drill, f = true, f[1:]
		}
		i.Title = strings.Join(f, " ")
		for _, o := range d.room {
			if o.Number == i.Number && i.Title == "" {
				i.Title, i.Drill = o.Title, o.Drill
			}
		}
		d.room = append(slices.DeleteFunc(d.room, func(o attention.Incident) bool { return o.Number == i.Number }), i)
	case "many":
		for k := range num(t, f[2]) {
			n := num(t, f[1]) + k
			d.room = append(d.room, attention.Incident{Number: n, Severity: f[3], Status: "declared", Title: fmt.Sprintf("Trouble %d", n)})
		}
	case "close":
		d.room = slices.DeleteFunc(d.room, func(o attention.Incident) bool { return o.Number == num(t, f[1]) })
	case "page":
		d.pages = append(d.pages, attention.Page{ID: f[1], Incident: num(t, f[2]), Reason: strings.Join(f[3:], " ")})
	case "answer":
		d.pages = slices.DeleteFunc(d.pages, func(p attention.Page) bool { return p.ID == f[1] })
	case "person":
		d.who = f[1]
	case "lag":
		d.lag = num(t, f[1]) + 1
	case "title":
		said = append(said, "> "+attention.Title(d.state()))
	case "state":
		d.clock = moment(t, f[1])
		var show []attention.Notice
		var back []string
		d.mem, show, back = attention.Diff(d.mem, d.state(), d.rules, d.clock)
		d.lag = 0
		for _, n := range show {
			said = append(said, "> "+told(n))
		}
		for _, k := range back {
			said = append(said, "> take back "+k)
		}
		if len(said) == 0 {
			said = []string{"> nothing"}
		}
	case "until":
		for to := moment(t, f[1]); d.clock < to; {
			d.clock += 1000
			var show []attention.Notice
			var back []string
			d.mem, show, back = attention.Due(d.mem, d.rules, d.clock)
			for _, n := range show {
				said = append(said, fmt.Sprintf("> %02d:%02d %s", d.clock/60000, d.clock/1000%60, told(n)))
			}
			for _, k := range back {
				said = append(said, fmt.Sprintf("> %02d:%02d take back %s", d.clock/60000, d.clock/1000%60, k))
			}
		}
		if len(said) == 0 {
			said = []string{"> nothing"}
		}
	default:
		t.Fatalf("no such line: %v", f)
	}
	return said
}

// state is what the server would say now.
func (d *desktop) state() attention.State {
	s := attention.State{At: d.clock, Position: d.pos - d.lag, Site: "Acme", Handle: d.who, Open: len(d.room), Incidents: slices.Clone(d.room), Pages: slices.Clone(d.pages)}
	slices.SortStableFunc(s.Incidents, func(a, b attention.Incident) int {
		if a.Drill != b.Drill {
			if a.Drill {
				return 1
			}
			return -1
		}
		return cmp.Or(strings.Compare(a.Severity, b.Severity), cmp.Compare(a.Number, b.Number))
	})
	if s.Open > 0 {
		s.Worst = s.Incidents[0].Severity
	}
	for i := range s.Pages {
		p := &s.Pages[i]
		for _, o := range d.room {
			if o.Number == p.Incident {
				p.Title, p.Severity, p.Drill = o.Title, o.Severity, o.Drill
			}
		}
	}
	slices.SortStableFunc(s.Pages, func(a, b attention.Page) int { return strings.Compare(a.Severity, b.Severity) })
	s.Incidents = s.Incidents[:min(len(s.Incidents), attention.MostIncidents)]
	s.Pages = s.Pages[:min(len(s.Pages), attention.MostPages)]
	return s
}

func told(n attention.Notice) string {
	out := n.Key + " " + n.Severity + " "
	if n.Sound == attention.Silent {
		out += "silent"
	} else {
		out += "sound " + string(n.Sound)
	}
	if n.Sticky {
		out += " sticky"
	}
	if n.Ack != 0 {
		out += " ack " + strconv.FormatInt(n.Ack, 10)
	}
	return out + " " + n.Path + " | " + n.Title + " | " + n.Body
}

func moment(t *testing.T, text string) int64 {
	t.Helper()
	m, s, ok := strings.Cut(text, ":")
	if !ok {
		t.Fatalf("%q is no time", text)
	}
	return num(t, m)*60_000 + num(t, s)*1000
}

func num(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
