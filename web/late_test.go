package web

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// TestNoteSentLater: a note brings the time when it was written, room and wall show it, and sending it again changes nothing. What only a clock that is
// wrong, or a program, would say is refused in words.
func TestNoteSentLater(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge", Severity: "SEV3"})
	ana, path := h.ana(), "/incidents/"+itoa(n)
	h.stand() // no midnight comes between
	now := time.UnixMilli(h.millis())
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	send := func(id, line string, at int64) *answer {
		return ana.json("POST", path+"/line", map[string]any{"id": id, "line": line, "written_at": at})
	}

	id, event := newID(), ""
	first := send(id, "a month ago, nearly", ago(29*24*time.Hour)).want(200).body
	if again := send(id, "a month ago, nearly", ago(29*24*time.Hour)).want(200).body; again != first {
		t.Errorf("the same id:\n%s\n%s", first, again)
	}
	send(newID(), "/note at once", h.millis()).want(200)
	send(newID(), "//slash", ago(20*time.Second)).want(200)
	ana.json("POST", "/api/v1"+path+"/commands", map[string]any{"id": newID(), "command": "add_note", "args": map[string]any{"text": "from a program", "written_at": ago(time.Minute)}}).want(200)

	before := h.Log.Size()
	for _, bad := range []struct {
		line string
		at   int64
		code string
	}{
		{"from the future", ago(-3 * time.Minute), incident.CodeBadTime},
		{"older than a month", ago(31 * 24 * time.Hour), incident.CodeBadTime},
		{"in seconds", now.Unix(), incident.CodeBadTime},
		{"/sev 1 funds are moving", ago(time.Minute), "only_notes"},
	} {
		if p := send(newID(), bad.line, bad.at).want(422).problem(bad.code); len(p.Detail) < 40 {
			t.Errorf("%q: %q helps nobody", bad.line, p.Detail)
		}
	}
	ana.json("POST", path+"/line", map[string]any{"line": "x", "written_at": "14:02"}).want(400).problem("bad_json")
	if h.Log.Size() != before {
		t.Errorf("refusals wrote %d events", h.Log.Size()-before)
	}

	h.settle()
	shown := map[string]string{} // text -> when it was written, as its entry says
	for _, entry := range strings.Split(ana.get(path).want(200).body, `<li id="e-`)[1:] {
		words := between(entry, `<span class="words">`, "</span>")
		if late := between(entry, `<span class="late">`, "</p>"); strings.Contains(late, "arrived <time") {
			shown[words] = between(between(late, "written <time", "</time>"), ">", "")
		}
		if strings.HasPrefix(words, "a month ago") {
			event, _, _ = strings.Cut(entry, `"`)
		}
	}
	want := map[string]string{
		"a month ago, nearly": time.UnixMilli(ago(29 * 24 * time.Hour)).UTC().Format("2 Jan 15:04:05"),
		"/slash":              clockOn(ago(20*time.Second), now),
		"from a program":      clockOn(ago(time.Minute), now),
	}
	for words, at := range want {
		if shown[words] != at {
			t.Errorf("%q was written at %q, want %q", words, shown[words], at)
		}
	}
	if len(shown) != len(want) {
		t.Errorf("late are %v", shown)
	}
	ana.get("/wall").want(200).has(">written <time", "from a program")

	// Blanked, nothing of it stays. An answer that was lost is still the same when it is asked for again after the time in which a note is taken.
	ana.json("POST", "/api/v1"+path+"/commands", map[string]any{"id": newID(), "command": "redact", "args": map[string]any{"event": event, "reason": "a name"}}).want(200)
	h.settle()
	if page := ana.get(path).want(200).body; strings.Contains(page, want["a month ago, nearly"]) || strings.Count(page, `class="late"`) != 2 {
		t.Error("the room still says when the blanked note was written")
	}
	h.late.Add(2 * 24 * 3_600_000)
	ana.json("POST", path+"/line", map[string]any{"id": id, "line": "a month ago, nearly", "written_at": ago(29 * 24 * time.Hour)}).want(200)
}

// clockOn is how an entry of now shows a time of the same day, or of another.
func clockOn(ms int64, now time.Time) string {
	if at := time.UnixMilli(ms).UTC(); at.YearDay() == now.UTC().YearDay() {
		return at.Format("15:04:05")
	}
	return time.UnixMilli(ms).UTC().Format("2 Jan 15:04:05")
}

// between is what stands after a and before b in text; with b "" all of it; "" when a is not there.
func between(text, a, b string) string {
	_, after, ok := strings.Cut(text, a)
	if !ok {
		return ""
	}
	if b != "" {
		after, _, _ = strings.Cut(after, b)
	}
	return after
}
