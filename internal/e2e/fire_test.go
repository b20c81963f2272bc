package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
)

// fire is people and senders who use three replicas at once and go to another
// one when theirs does not answer. What they saw is kept for porcupine.
type fire struct {
	c      *cluster
	rooms  []int64
	bases  map[int64]int64 // seq of each room before the first note
	heads  map[int64]int64 // the newest seq of each room that was seen; under mu
	intake string          // path that takes alerts
	client *http.Client
	ends   chan struct{}
	began  time.Time
	wg     sync.WaitGroup

	refused  atomic.Int64 // answers that say that nothing can be written now
	failed   atomic.Int64 // no answer
	moved    atomic.Int64 // a command that another replica had to be asked about
	answered atomic.Int64

	mu     sync.Mutex
	ops    []porcupine.Operation
	acked  map[string]int64 // command id -> seq
	alerts []string         // keys that were taken
	odd    []string         // answers that nobody should get
}

type noteIn struct {
	room int64
	id   string // "" = the room is read
}

type noteOut struct {
	seq  int64 // of the note, or of the newest event; 0 = not known
	last string
}

// writers and senders of a fire; each does one thing after the other.
const (
	fireWriters = 24
	fireSenders = 3
)

func startFire(c *cluster) *fire {
	t := c.t
	t.Helper()
	f := &fire{c: c, heads: map[int64]int64{}, ends: make(chan struct{}), began: time.Now(), acked: map[string]int64{},
		client: &http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	s := c.replicas[0]
	_, f.intake, _ = s.source("Probes", "generic")
	for i := range 4 {
		n := s.declare(fmt.Sprintf("Under fire %d", i), "SEV2", nil)
		var out struct{ Events []event }
		s.api("GET", fmt.Sprintf("/api/v1/incidents/%d/events", n), nil, &out)
		f.rooms = append(f.rooms, n)
		f.heads[n] = out.Events[len(out.Events)-1].Seq
	}
	f.bases = maps.Clone(f.heads) // before anybody writes
	for k := range fireWriters {
		f.wg.Go(func() { f.write(k) })
	}
	for k := range fireSenders {
		f.wg.Go(func() { f.send(k) })
	}
	return f
}

func (f *fire) over() bool {
	select {
	case <-f.ends:
		return true
	default:
		return false
	}
}

func (f *fire) wait(d time.Duration) {
	select {
	case <-f.ends:
	case <-time.After(d):
	}
}

// call asks one replica; no answer is code 0.
func (f *fire) call(replica int, method, path string, body []byte) (int, []byte, http.Header) {
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+f.c.replicas[replica%3].addr+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil
	}
	req.Header.Set("Authorization", "Bearer "+bootstrap)
	req.Header.Set("Content-Type", "application/json")
	r, err := f.client.Do(req)
	if err != nil {
		f.failed.Add(1)
		return 0, nil, nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		f.failed.Add(1)
		return 0, nil, nil
	}
	if r.StatusCode == http.StatusServiceUnavailable {
		f.refused.Add(1)
	}
	return r.StatusCode, b, r.Header
}

func (f *fire) strange(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.odd) < 20 {
		f.odd = append(f.odd, fmt.Sprintf(format, args...))
	}
}

// write is one person: notes, and now and then a look at the newest events.
func (f *fire) write(k int) {
	replica := k
	for !f.over() {
		room := f.rooms[rand.IntN(len(f.rooms))]
		if rand.IntN(6) == 0 {
			f.look(k, &replica, room)
		} else {
			f.note(k, &replica, room)
		}
		f.wait(time.Duration(rand.IntN(40)) * time.Millisecond)
	}
}

// note says the same command until somebody answers it.
func (f *fire) note(k int, replica *int, room int64) {
	id := uuid.NewString()
	body, _ := json.Marshal(map[string]any{"id": id, "command": "add_note", "args": map[string]any{"text": "note of " + id}})
	op := porcupine.Operation{ClientId: k, Input: noteIn{room, id}, Call: int64(time.Since(f.began)), Output: noteOut{}, Return: math.MaxInt64}
	tries := 0
	defer func() {
		f.mu.Lock()
		f.ops = append(f.ops, op)
		f.mu.Unlock()
		if tries > 1 {
			f.moved.Add(1)
		}
	}()
	for patient := time.Now().Add(patience); time.Now().Before(patient); {
		tries++
		code, b, _ := f.call(*replica, "POST", fmt.Sprintf("/api/v1/incidents/%d/commands", room), body)
		switch code {
		case http.StatusOK:
			var a answer
			if err := json.Unmarshal(b, &a); err != nil || len(a.Events) != 1 {
				f.strange("a note was answered with %s", b)
				return
			}
			op.Return, op.Output = int64(time.Since(f.began)), noteOut{seq: a.Events[0].Seq}
			f.answered.Add(1)
			f.mu.Lock()
			f.acked[id] = a.Events[0].Seq
			f.mu.Unlock()
			return
		case 0, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusInternalServerError:
			if code == http.StatusInternalServerError {
				f.strange("a note was answered with 500 %s", b)
			}
			if f.over() && tries > 1 {
				return // nobody knows whether it happened
			}
			*replica++
			time.Sleep(time.Duration(50+rand.IntN(150)) * time.Millisecond) // as a person's page would
		default:
			f.strange("a note was answered with %d %s", code, b)
			return
		}
	}
}

// look reads the newest events of a room. An answer that says that it shows
// what was durable some time ago promises nothing and is not judged.
func (f *fire) look(k int, replica *int, room int64) {
	f.mu.Lock()
	from := f.heads[room]
	f.mu.Unlock()
	op := porcupine.Operation{ClientId: k, Input: noteIn{room: room}, Call: int64(time.Since(f.began))}
	code, b, header := f.call(*replica, "GET", fmt.Sprintf("/api/v1/incidents/%d/events?from=%d", room, max(1, from-2)), nil)
	op.Return = int64(time.Since(f.began))
	if code != http.StatusOK {
		if code != 0 && code < 500 {
			f.strange("a look was answered with %d %s", code, b)
		}
		*replica++
		return
	}
	if header.Get("Tocsin-Stale") != "" {
		return
	}
	var out struct{ Events []event }
	if err := json.Unmarshal(b, &out); err != nil || len(out.Events) == 0 {
		f.strange("a look from %d was answered with %s", from, b)
		return
	}
	last := out.Events[len(out.Events)-1]
	op.Output = noteOut{seq: last.Seq, last: last.Causation}
	f.mu.Lock()
	f.heads[room] = max(f.heads[room], last.Seq)
	f.ops = append(f.ops, op)
	f.mu.Unlock()
}

// send is one sender of alerts, which repeats until it is told that it was heard.
func (f *fire) send(k int) {
	replica := k
	for i := 0; !f.over(); i++ {
		key := fmt.Sprintf("probe %d/%d", k, i)
		body := mustJSON(f.c.t, map[string]any{"key": key, "title": "Probe " + key, "severity": "SEV4", "state": "firing", "component": fmt.Sprintf("part %d/%d", k, i/8)})
		for patient := time.Now().Add(patience); time.Now().Before(patient); {
			code, b, _ := f.call(replica, "POST", f.intake, body)
			if code == http.StatusAccepted {
				f.mu.Lock()
				f.alerts = append(f.alerts, key)
				f.mu.Unlock()
				break
			}
			if code != 0 && code != http.StatusServiceUnavailable {
				f.strange("an alert was answered with %d %s", code, b)
			}
			if f.over() {
				return
			}
			replica++
			time.Sleep(time.Duration(50+rand.IntN(100)) * time.Millisecond)
		}
		f.wait(time.Duration(200+rand.IntN(200)) * time.Millisecond)
	}
}

// stop ends the fire and waits for everybody.
func (f *fire) stop() {
	close(f.ends)
	f.wg.Wait()
	f.client.CloseIdleConnections()
}

// judge compares what everybody was told with what the log says.
func (f *fire) judge(t *testing.T) {
	t.Helper()
	for _, o := range f.odd {
		t.Error(o)
	}
	until(t, "every signal belongs to an incident", patience, func() (bool, string) {
		alone := 0
		for _, s := range f.c.replicas[0].signals() {
			if s.Incident == 0 {
				alone++
			}
		}
		return alone == 0, fmt.Sprint(alone, " do not")
	})
	// What was promised is there, once, where it was said to be.
	log := f.c.agree()
	at := byCausation(log)
	for id, seq := range f.acked {
		if e := at[id]; len(e) != 1 || e[0].Seq != seq {
			t.Errorf("command %s was answered with seq %d and is in the log %d times: %v", id, seq, len(e), e)
		}
	}
	silent, silentThere := 0, 0
	for _, op := range f.ops {
		if in := op.Input.(noteIn); in.id != "" && op.Return == math.MaxInt64 {
			silent++
			if n := len(at[in.id]); n > 1 {
				t.Errorf("command %s, never answered, is in the log %d times", in.id, n)
			} else {
				silentThere += n
			}
		}
	}
	opened, attached, signals := map[string]int{}, map[string]int{}, map[string]string{}
	for _, e := range log {
		switch e.Type {
		case "signal.opened":
			var d struct{ Key, Signal string }
			_ = json.Unmarshal(e.Data, &d)
			opened[d.Key]++
			signals[d.Signal] = d.Key
		case "incident.signals_attached":
			var d struct{ Signals []struct{ Signal string } }
			_ = json.Unmarshal(e.Data, &d)
			for _, s := range d.Signals {
				attached[s.Signal]++
			}
		}
	}
	for _, key := range f.alerts {
		if opened[key] != 1 {
			t.Errorf("alert %q was taken and opened %d signals", key, opened[key])
		}
	}
	for id, key := range signals { // what reactors do, they do once, whoever leads
		if attached[id] != 1 {
			t.Errorf("signal %s of alert %q was attached to %d incidents", id, key, attached[id])
		}
	}
	// Everybody's history fits one order in which each thing happened at one moment.
	began := time.Now()
	model := noteModel(f.bases, own(log))
	result, info := porcupine.CheckOperationsVerbose(model, f.ops, 10*time.Minute)
	if result != porcupine.Ok {
		path := t.ArtifactDir() + "/history.html"
		_ = porcupine.VisualizePath(model, info, path)
		t.Errorf("porcupine: the history is %s; see %s", result, path)
	}
	t.Logf("%d operations judged by porcupine in %s: %s; %d commands answered and there once, %d never answered (%d of them happened), %d alerts opened one signal each, in one incident each; %d answers “read-only or busy”, %d without an answer, %d commands asked about twice or more",
		len(f.ops), time.Since(began).Round(time.Millisecond), result, len(f.acked), silent, silentThere, len(f.alerts), f.refused.Load(), f.failed.Load(), f.moved.Load())
}

// own are the numbers that the program's own events took in each room: it routes, pages and scores while people write.
func own(log []event) map[int64]map[int64]bool {
	out := map[int64]map[int64]bool{}
	for _, e := range log {
		var room int64
		if n, err := fmt.Sscanf(e.Stream, "incident/%d", &room); n != 1 || err != nil || !strings.HasPrefix(e.Actor, "system:") {
			continue
		}
		if out[room] == nil {
			out[room] = map[int64]bool{}
		}
		out[room][e.Seq] = true
	}
	return out
}

// noteModel is a list that only grows: a note gets the next number that is not the program's own, a look sees the newest note, and perhaps some
// of the program's events after it. bases are the numbers before the first note.
func noteModel(bases map[int64]int64, own map[int64]map[int64]bool) porcupine.Model {
	next := func(room, seq int64) int64 {
		for seq++; own[room][seq]; seq++ {
		}
		return seq
	}
	type state struct {
		seq  int64
		last string // command of the newest note, "" before the first
	}
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			rooms := map[int64][]porcupine.Operation{}
			for _, op := range history {
				n := op.Input.(noteIn).room
				rooms[n] = append(rooms[n], op)
			}
			out := [][]porcupine.Operation{}
			for _, ops := range rooms {
				out = append(out, ops)
			}
			return out
		},
		Init: func() any { return state{seq: -1} },
		Step: func(s, input, output any) (bool, any) {
			now, in, out := s.(state), input.(noteIn), output.(noteOut)
			if now.seq < 0 {
				now.seq = bases[in.room]
			}
			if in.id == "" {
				newest := out.seq == now.seq && (now.last == "" || out.last == now.last)
				return newest || out.seq > now.seq && out.seq < next(in.room, now.seq), now
			}
			seq := next(in.room, now.seq)
			return out.seq == 0 || out.seq == seq, state{seq, in.id}
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " -> ", output) },
	}
}
