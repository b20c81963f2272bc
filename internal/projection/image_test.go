package projection_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
)

// image is everything that a world holds of closed incidents and signals, as
// bytes: equal bytes are equal worlds.
func image(t tb, w *projection.World) (size int64, body []byte) {
	t.Helper()
	size, write := w.Image()
	body, err := write()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return size, body
}

// TestHoweverItIsFolded: a world that followed every event, one that folded the
// log at once, and one from a snapshot and the events after it are the same, to
// the byte, whatever people and sources did; and every incident, however it is
// held, is what the log says.
func TestHoweverItIsFolded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := open(t)
		h.world.Limit(rapid.IntRange(0, 2).Draw(t, "kept"), 1)
		stop := h.run()
		defer stop()
		numbers := rapid.Int64Range(1, 4).Draw(t, "incidents")
		for range numbers {
			h.declare("Bridge")
		}
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		cut := rapid.IntRange(0, steps).Draw(t, "cut")
		var early []byte
		var size int64
		for i := range steps {
			if i == cut {
				h.settle()
				size, early = image(t, h.world)
			}
			if rapid.IntRange(0, 3).Draw(t, "signal or command") == 0 {
				h.fire(rapid.SampledFrom([]string{"am", "pd"}).Draw(t, "source"), rapid.SampledFrom([]string{"k1", "k2"}).Draw(t, "key"), rapid.Bool().Draw(t, "firing"))
				continue
			}
			n := rapid.Int64Range(1, numbers).Draw(t, "number")
			if rapid.IntRange(0, 3).Draw(t, "look") == 0 {
				if _, err := h.incident(n); err != nil && !errors.Is(err, projection.ErrUnknown) { // it may not have come yet
					t.Fatalf("%v", err)
				}
			}
			_, err := h.rooms.Do(h.ctx, n, command(t, numbers), h.meta())
			var r *incident.Refusal
			if err != nil && !errors.As(err, &r) {
				t.Fatalf("%v", err)
			}
		}
		h.settle()
		anew := projection.New(h.log)
		anew.Limit(1, rapid.IntRange(1, 3).Draw(t, "sketches"))
		worlds := map[string]*projection.World{"followed": h.world, "folded anew": anew}
		if early != nil {
			w := projection.New(h.log)
			w.Limit(1, 1)
			if err := w.Resume(size, early); err != nil {
				t.Fatalf("%v", err)
			}
			if err := w.CatchUp(h.ctx); err != nil {
				t.Fatalf("%v", err)
			}
			worlds["from a snapshot"] = w
		}
		if err := anew.CatchUp(h.ctx); err != nil {
			t.Fatalf("%v", err)
		}
		_, want := image(t, anew)
		for name, w := range worlds {
			if _, got := image(t, w); !bytes.Equal(got, want) {
				t.Fatalf("%s:\n%s\nfolded anew:\n%s", name, got, want)
			}
			for n := int64(1); n <= numbers; n++ {
				loaded, err := h.rooms.Load(h.ctx, n)
				if err != nil {
					t.Fatalf("%v", err)
				}
				err = w.LookInto(h.ctx, n, func(v projection.View, st incident.State) {
					if dump(st) != dump(loaded) {
						t.Fatalf("incident %d %s:\n%s\nloaded:\n%s", n, name, dump(st), dump(loaded))
					}
					if c, err := v.Card(n); err != nil || fmt.Sprint(c.Updates, c.Title, c.LastAt) != fmt.Sprint(loaded.Card().Updates, loaded.Title, loaded.LastAt) {
						t.Fatalf("incident %d %s: the card is %+v, %v", n, name, c, err)
					}
				})
				if err != nil {
					t.Fatalf("%v", err)
				}
				if at := w.ChangedAt(room.Stream(n)); at != loaded.Position {
					t.Fatalf("incident %d %s: changed at %d, the state is at %d", n, name, at, loaded.Position)
				}
			}
			w.Look(func(v projection.View) {
				cards, open := v.Cards(), v.Open()
				if int64(len(cards)) != numbers {
					t.Fatalf("%s: %d cards of %d incidents", name, len(cards), numbers)
				}
				for _, c := range cards {
					if found := hasOpen(open, c.Number); found != c.Open() {
						t.Fatalf("%s: incident %d open %v, among the open ones %v", name, c.Number, c.Open(), found)
					}
				}
			})
		}
	})
}

func hasOpen(list []incident.State, n int64) bool {
	for _, st := range list {
		if st.Number == n {
			return true
		}
	}
	return false
}

// TestClosedIncidentsTakeNoRoom: what was closed is not held whole, and is
// whole again for who looks into it or when something happens there.
func TestClosedIncidentsTakeNoRoom(t *testing.T) {
	const many = 30
	h := open(t)
	h.world.Limit(4, 1000)
	stop := h.run()
	defer stop()
	for range many {
		n := h.declare("Bridge")
		h.do(n, incident.AddNote{Text: "what happened"})
		h.do(n, incident.Resolve{Validation: "checked"})
	}
	last := h.declare("Open")
	h.settle()
	if n := h.world.Whole(); n != 5 {
		t.Errorf("%d are held whole, want 4 closed ones and the open one", n)
	}
	for n := int64(1); n <= many; n++ {
		st, err := h.incident(n)
		if err != nil || st.Timeline.Len() != 4 {
			t.Errorf("incident %d has %d entries, %v", n, st.Timeline.Len(), err)
		}
	}
	h.do(2, incident.Reopen{Reason: "not over"})
	h.do(3, incident.AddNote{Text: "one more thing"})
	for _, e := range h.all() {
		if e.Stream == room.Stream(4) && e.Type == "incident.note_added" {
			h.do(4, incident.Redact{Event: e.ID, Reason: "private"})
		}
	}
	h.settle()
	h.world.Look(func(v projection.View) {
		var open []int64
		for _, st := range v.Open() {
			open = append(open, st.Number)
		}
		if fmt.Sprint(open) != fmt.Sprint([]int64{2, last}) {
			t.Errorf("open are %v", open)
		}
	})
	if st, _ := h.incident(3); st.Timeline.Len() != 5 {
		t.Errorf("%d entries", st.Timeline.Len())
	}
	if n := h.world.Whole(); n != 6 {
		t.Errorf("%d are held whole, want 4 closed ones and 2 open ones", n)
	}
}

// TestRedactionOfACard: what was blanked leaves the card of a closed incident,
// whether the world followed or starts with a snapshot from before.
func TestRedactionOfACard(t *testing.T) {
	const secret = "the-seed-phrase"
	h := open(t)
	h.world.Limit(0, 1)
	stop := h.run()
	defer stop()
	n := h.declare(secret)
	title := lastOf(h, "incident.described")
	h.do(n, incident.DraftUpdate{Audience: "public", Headline: "x", Text: "we lost " + secret})
	h.do(n, incident.ApproveUpdate{})
	h.do(n, incident.PublishUpdate{})
	h.do(n, incident.Resolve{Validation: "checked"})
	h.settle()
	size, before := image(t, h.world)
	if bytes.Count(before, []byte(secret)) != 2 {
		t.Fatalf("the snapshot should hold it twice: %s", before)
	}
	h.do(n, incident.Redact{Event: title, Reason: "private"})
	h.do(n, incident.Redact{Event: lastOf(h, "incident.update_drafted"), Reason: "private"})
	h.settle()
	late := projection.New(h.log)
	if err := late.Resume(size, before); err != nil {
		t.Fatal(err)
	}
	if err := late.CatchUp(h.ctx); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]*projection.World{"followed": h.world, "from a snapshot": late} {
		if _, now := image(t, w); bytes.Contains(now, []byte(secret)) {
			t.Errorf("%s: it still says so: %s", name, now)
		}
		if redacted, err := w.Redacted(h.ctx, size-1, 1<<60); err != nil || !redacted {
			t.Errorf("%s: nobody is told of the redaction: %v", name, err)
		}
	}
}

// TestBadImages: what Image did not write is refused, and the world is as before.
func TestBadImages(t *testing.T) {
	h := open(t)
	n := h.declare("Bridge")
	h.do(n, incident.Resolve{Validation: "checked"})
	h.fire("am", "disk", true)
	if err := h.world.CatchUp(h.ctx); err != nil {
		t.Fatal(err)
	}
	size, good := image(t, h.world)
	lines := strings.SplitAfter(string(good), "\n")
	for name, bad := range map[string]string{
		"empty": "", "no head": strings.Join(lines[1:], ""), "no end": strings.Join(lines[:len(lines)-2], ""), "half": string(good[:len(good)/2]),
		"twice": string(good) + string(good), "another kind": strings.Replace(string(good), "\nC", "\nX", 1), "order": lines[0] + strings.Join(lines[2:], "") + lines[1],
		"an empty line": strings.Replace(string(good), "\nC", "\n\nC", 1), "no JSON": strings.Replace(string(good), `{"number"`, `["number"`, 1),
		"records elsewhere": strings.Replace(string(good), `"records":1}`+"\n", `"records":9}`+"\n", 1),
	} {
		w := projection.New(h.log)
		if err := w.Resume(size, []byte(bad)); err == nil {
			t.Errorf("%s is taken", name)
		}
		if w.Position() != -1 {
			t.Errorf("%s left the world at %d", name, w.Position())
		}
	}
	if err := projection.New(h.log).Resume(size+1, good); err == nil {
		t.Error("a wrong size is taken")
	}
	// One that is well formed and still not what the log says.
	h2 := open(t)
	h2.declare("Another")
	h2.do(1, incident.AddNote{Text: "longer"})
	h2.do(1, incident.AddNote{Text: "and longer"})
	if err := h2.world.CatchUp(h2.ctx); err != nil {
		t.Fatal(err)
	}
	w := projection.New(h.log)
	if err := w.Resume(image(t, h2.world)); err != nil {
		t.Fatal(err)
	}
	if err := w.CatchUp(h.ctx); !errors.Is(err, projection.ErrStale) {
		t.Errorf("the open incident of another log is taken: %v", err)
	}
	w.Reset()
	if err := w.CatchUp(h.ctx); err != nil {
		t.Fatal(err)
	}
	if _, got := image(t, w); !bytes.Equal(got, good) {
		t.Errorf("%s", got)
	}
}

// folded is the digest of what a fixed history folds to. When it changes, and no
// type did, raise imageVersion: snapshots of the old program must not be taken.
const folded = "1-9902124c25f48205 59787dd5633c3d93"

var ids = regexp.MustCompile(`"EventID":"[^"]*"`)

func TestTheFoldIsTheOneOfThisVersion(t *testing.T) {
	h := open(t)
	h.fire("am", "disk", true)
	h.fire("am", "disk", false)
	h.fire("pd", "cpu", true)
	a, b := h.declare("Bridge", incident.Signal{ID: "s1", Title: "disk", State: "open"}), h.declare("Twin")
	for _, c := range []incident.Command{
		incident.AssignRole{Role: "commander", Person: "ana"}, incident.SetSeverity{Severity: "SEV1", Reason: "worse"}, incident.SetStatus{Status: "mitigating"},
		incident.DraftUpdate{Audience: "public", Headline: "Late", Text: "Late.", Phase: "identified", Components: map[string]string{"bridge": "partial_outage"}},
		incident.ApproveUpdate{}, incident.PublishUpdate{NextDue: start + 3600_000}, incident.AddTask{Title: "look"}, incident.Resolve{Validation: "checked"},
	} {
		h.do(a, c)
	}
	h.do(b, incident.Merge{Into: h.declare("Third")})
	if err := h.world.CatchUp(h.ctx); err != nil {
		t.Fatal(err)
	}
	_, body := image(t, h.world)
	sum := sha256.Sum256(ids.ReplaceAll(body, nil))
	if got := projection.Shape() + " " + hex.EncodeToString(sum[:8]); got != folded {
		t.Errorf("this history folds to %q, which was %q; raise imageVersion if the part after the blank changed, and write the new one here\n%s", got, folded, body)
	}
}
