package incident_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

var update = flag.Bool("update", false, "write the expected replies of the scripts anew")

// TestScripts plays testdata/*.txt. A block is lines of input, "----" and the
// whole reply, up to a blank line. Input is
//
//	ana declare {"title": ...}   a person gives a command as the API takes it
//	ana > /sev 1 reason          a person types a line into the composer
//	+5m                          time passes
//	state, timeline, waiting, grammar, complete /ro|
//	incident 12                  another incident, from its beginning
//
// Actors other than people are written out ("token:t1"). {{x 201}} is 201 x.
// After every block the events are encoded, decoded and replayed, blanked ones
// without their payload: the replayed state must equal the live one.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { play(t, f) })
	}
}

func play(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(42)
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		input, want, scripted := strings.Cut(block, "\n----")
		out.WriteString(input + "\n")
		if !scripted && strings.HasPrefix(input, "#") {
			out.WriteString("\n")
			continue
		}
		var reply strings.Builder
		for _, line := range strings.Split(input, "\n") {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				r.line(&reply, line)
			}
		}
		r.replayed(t)
		got := strings.TrimRight(reply.String(), "\n")
		if want = strings.TrimPrefix(want, "\n"); !*update && got != want {
			t.Errorf("%s:\n%s\n---- got\n%s\n---- want\n%s", file, input, got, want)
		}
		out.WriteString("----\n" + got + "\n\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// room keeps the events of one incident as a log would.
type room struct {
	number int64
	state  incident.State
	events []incident.Event
	now    time.Time

	restateFirst bool // append what a redaction says again before the redaction itself
}

func newRoom(n int64) *room {
	return &room{number: n, state: incident.New(n, "id-"+strconv.FormatInt(n, 10)), now: time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)}
}

var repeat = regexp.MustCompile(`\{\{(.+?) (\d+)\}\}`)

func (r *room) line(out *strings.Builder, line string) {
	line = repeat.ReplaceAllStringFunc(line, func(m string) string {
		p := repeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(p[2])
		return strings.Repeat(p[1], n)
	})
	first, rest, _ := strings.Cut(line, " ")
	switch {
	case strings.HasPrefix(line, "+"):
		d, err := time.ParseDuration(line[1:])
		if err != nil {
			fmt.Fprintln(out, err)
		}
		r.now = r.now.Add(d)
	case line == "state":
		dump(out, r.state)
	case line == "timeline":
		for _, e := range r.state.Timeline.All() {
			late := ""
			if e.WrittenAt != 0 {
				late = " (written at " + time.UnixMilli(e.WrittenAt).UTC().Format(time.RFC3339) + ")"
			}
			fmt.Fprintf(out, "%d %s %s %s%s\n", e.Offset, e.Actor, e.Kind, parts(e), late)
		}
	case line == "waiting":
		for _, w := range incident.WaitingFor(r.state, r.now.UnixMilli()) {
			fmt.Fprintf(out, "%s for=%q ref=%q %s\n", w.Kind, w.For, w.Ref, w.Text)
		}
		if _, warning := incident.SpanOfControl(r.state); warning != "" {
			fmt.Fprintln(out, warning)
		}
	case line == "grammar":
		for _, u := range incident.Grammar() {
			fmt.Fprintf(out, "%s | %s | %s\n", u.Usage, u.Hint, u.Example)
		}
	case first == "complete":
		cursor := strings.IndexByte(rest, '|')
		typed := strings.Replace(rest, "|", "", 1)
		for _, c := range incident.Complete(typed, cursor, []string{"ana", "bo", "li"}, []incident.Named{{"team-1", "Bridges"}, {"team-treasury", "Treasury desk"}}, r.state) {
			fmt.Fprintf(out, "%q %s (%s)\n", typed[:c.From]+c.Text+typed[c.To:], c.Label, c.Hint)
		}
	case first == "incident":
		n, _ := strconv.ParseInt(rest, 10, 64)
		*r = *newRoom(n)
	default:
		r.give(out, first, rest)
	}
}

func (r *room) give(out *strings.Builder, who, what string) {
	if !strings.Contains(who, ":") {
		who = "person:" + who
	}
	var c incident.Command
	var err error
	if line, typed := strings.CutPrefix(what, "> "); typed {
		c, err = incident.ParseLine(line)
	} else {
		name, args, _ := strings.Cut(what, " ")
		c, err = incident.ParseCommand(name, json.RawMessage(args))
	}
	var events []incident.Event
	if err == nil {
		events, err = r.do(c, who)
	}
	if refusal, ok := err.(*incident.Refusal); ok {
		fmt.Fprintf(out, "refused %s: %s\n", refusal.Code, refusal.Sentence)
		return
	}
	if err != nil {
		fmt.Fprintf(out, "not a refusal: %v\n", err)
	}
	for _, e := range events {
		data, _ := json.Marshal(e.Body)
		text := string(data)
		if len(text) > 400 {
			text = fmt.Sprintf("%s… (%d bytes)", text[:200], len(text))
		}
		fmt.Fprintf(out, "%d %s %s\n", e.Offset, e.Body.Type(), text)
	}
	if len(events) == 0 && err == nil {
		fmt.Fprintln(out, "nothing to do")
	}
}

func (r *room) do(c incident.Command, actor string) ([]incident.Event, error) {
	m := incident.Meta{ID: "c", At: r.now.UnixMilli(), Actor: actor}
	bodies, err := incident.Decide(r.state, c, m)
	if err != nil {
		return nil, err
	}
	if _, ok := c.(incident.Redact); ok && r.restateFirst {
		slices.Reverse(bodies)
	}
	from := len(r.events)
	for _, b := range bodies {
		n := int64(len(r.events))
		e := incident.Event{Meta: m, Offset: n, EventID: fmt.Sprintf("e%d", n), Body: b}
		r.events = append(r.events, e)
		r.state = incident.Apply(r.state, e)
	}
	return r.events[from:], nil
}

// replay reads the events again as the log would hand them out.
func (r *room) replay() (incident.State, error) {
	gone := map[int64]*incident.Redaction{}
	for _, e := range r.events {
		if b, ok := e.Body.(incident.LogRedacted); ok {
			gone[b.Offset] = &incident.Redaction{By: e.Actor, At: e.At, Reason: b.Reason}
		}
	}
	s := incident.New(r.number, "id-"+strconv.FormatInt(r.number, 10))
	for _, e := range r.events {
		typ, version, data, err := incident.Encode(e.Body)
		if err != nil {
			return s, err
		}
		if e.Redacted = gone[e.Offset]; e.Redacted != nil {
			data = nil
		}
		if e.Body, err = incident.Decode(typ, version, data); err != nil {
			return s, err
		}
		s = incident.Apply(s, e)
	}
	return s, nil
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (r *room) replayed(t tester) {
	t.Helper()
	s, err := r.replay()
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	if !reflect.DeepEqual(s, r.state) {
		t.Fatalf("replayed state differs:\n%s", difference(s, r.state))
	}
}

func difference(replayed, live incident.State) string {
	var out strings.Builder
	a, b := reflect.ValueOf(replayed), reflect.ValueOf(live)
	for i := range a.NumField() {
		x, y := fmt.Sprintf("%+v", a.Field(i)), fmt.Sprintf("%+v", b.Field(i))
		if x != y {
			fmt.Fprintf(&out, "%s\n replayed %s\n live     %s\n", a.Type().Field(i).Name, x, y)
		}
	}
	return out.String()
}

func parts(e incident.Entry) string {
	var out []string
	for _, p := range e.Parts {
		text := p.Text
		if len(text) > 120 {
			text = text[:120] + "…"
		}
		if p.Type == incident.PartText {
			out = append(out, strconv.Quote(text))
			continue
		}
		out = append(out, fmt.Sprintf("%s(%s)", p.Type, strconv.Quote(text)))
	}
	return strings.Join(out, " ")
}
