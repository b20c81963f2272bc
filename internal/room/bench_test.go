package room

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// BenchmarkCommands measures durable commands of 100 writers: bare bbolt with
// group commit (peer), store/bolt, the log, the rooms over 100, 10 and 1
// incidents and, when TOCSIN_PRODUCT is the address of a server and
// TOCSIN_TOKEN one of its tokens, its HTTP API over 100 keep-alive connections.
// They take turns in short rounds of one run, beside a loop of "one fsync": a
// 4 KB append and its sync; read the ratios. With TOCSIN_DISK, a duration, every
// group waits that much longer, as on a slower disk; HTTP then is net/http before
// the rooms of this process.
//
//	go test -run xxx -bench Commands -benchtime 1x ./internal/room
func BenchmarkCommands(b *testing.B) {
	delay, _ := time.ParseDuration(os.Getenv("TOCSIN_DISK"))
	all := []*contender{}
	add := func(name string, groups func() int64, do func(writer int) error) {
		all = append(all, &contender{name: name, groups: groups, do: do})
	}
	for _, incidents := range []int{100, 10, 1} {
		bare := newPeer(b, delay)
		add(fmt.Sprintf("peer/%d", incidents), func() int64 { return bare.groups }, func(w int) error { return bare.do(w%incidents, newID()) })
	}
	plain := benchStore(b, delay)
	shape, shaping := &peer{seqs: map[int]uint64{}}, sync.Mutex{}
	add("store", nil, func(w int) error {
		var txn store.Txn
		shaping.Lock()
		_ = shape.ops([]*peerCall{{incident: w, cause: newID()}}, func(key, value []byte) error {
			if !bytes.HasSuffix(key, []byte("checkpoint")) { // each would be another one's
				txn.Then = append(txn.Then, store.Op{Key: key, Value: value})
			}
			return nil
		})
		shaping.Unlock()
		_, err := plain.Commit(context.Background(), txn)
		return err
	})

	under := benchStore(b, delay)
	log, err := eventlog.Open(context.Background(), under, eventlog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	body, err := draft([]incident.Body{incident.NoteAdded{Text: benchNote}}, meta("x"))
	if err != nil {
		b.Fatal(err)
	}
	read := func() time.Duration {
		begin := time.Now()
		if _, err := log.Read(context.Background(), log.Size()-20, 20); err != nil {
			b.Error(err)
		}
		return time.Since(begin)
	}
	add("log", revisions(under), func(w int) error {
		d := body[0]
		d.Causation = newID()
		_, err := log.Append(context.Background(), eventlog.Batch{Stream: Stream(int64(w + 1)), Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{d}})
		return err
	})
	all[len(all)-1].read = read
	for _, incidents := range []int{100, 10, 1} {
		h, first := open(b, benchStore(b, delay)), int64(0)

		add(fmt.Sprintf("rooms/%d", incidents), revisions(h.db), func(w int) error {
			_, err := h.Do(context.Background(), first+int64(w%incidents), incident.AddNote{Text: benchNote}, meta(newID()))
			return err
		})
		all[len(all)-1].before = func() { // a timeline has an end
			first = h.declared("Measured")
			for range incidents - 1 {
				h.declared("Measured")
			}
		}
	}
	// The peer of HTTP: nothing but net/http and JSON in front of bare bbolt. On a
	// slow disk the rooms are behind the same; else behind the product.
	serve := func(do func(number int64, id, text string) error) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var in struct {
				ID   string
				Args struct{ Text string }
			}
			number, _ := strconv.ParseInt(strings.Split(r.URL.Path, "/")[4], 10, 64)
			err := json.NewDecoder(r.Body).Decode(&in)
			if err == nil {
				err = do(number, in.ID, in.Args.Text)
			}
			if err != nil {
				http.Error(w, err.Error(), 500)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"position": 1, "events": []map[string]string{{"id": in.ID, "type": "incident.note_added"}}})
		}))
		b.Cleanup(server.Close)
		return server.URL
	}
	place := os.Getenv("TOCSIN_PRODUCT")
	if place != "" || delay > 0 {
		bare := newPeer(b, delay)
		add("peer/http", func() int64 { return bare.groups }, overHTTP(b, serve(func(number int64, id, _ string) error { return bare.do(int(number), id) }), "", 0))
	}
	switch {
	case delay > 0:
		h, last := open(b, benchStore(b, delay)), int64(0)
		add("rooms/http", revisions(h.db), overHTTP(b, serve(func(number int64, id, text string) error {
			_, err := h.Do(context.Background(), last-benchWriters+number, incident.AddNote{Text: text}, meta(id))
			return err
		}), "", 0))
		all[len(all)-1].before = func() {
			for range benchWriters {
				last = h.declared("Measured")
			}
		}
	case place != "":
		add("rooms/http", nil, overHTTP(b, place, os.Getenv("TOCSIN_TOKEN"), 100))
	}
	if delay > 0 { // its writers would wait side by side
		all = slices.DeleteFunc(all, func(c *contender) bool { return c.name == "store" })
	}
	only := regexp.MustCompile("peer|" + os.Getenv("TOCSIN_ONLY"))
	all = slices.DeleteFunc(all, func(c *contender) bool { return !only.MatchString(c.name) })
	disk := newDisk(b, delay)
	var reads []time.Duration
	for range benchRounds {
		disk.turn(benchTurn / 2)
		for end := time.Now().Add(benchTurn / 4); time.Now().Before(end); {
			reads = append(reads, read())
			time.Sleep(time.Millisecond) // as often as beside the writers
		}
		for _, c := range all {
			c.turn(b, disk)
		}
	}
	report(all, disk)
	for _, c := range all {
		if len(c.reads) > 0 {
			fmt.Printf("a read of 20 events: alone p50 %s p99 %s; beside 100 writers p50 %s p99 %s\n", ms(at(reads, 0.5)), ms(at(reads, 0.99)), ms(at(c.reads, 0.5)), ms(at(c.reads, 0.99)))
		}
	}
	b.ReportMetric(0, "ns/op")
}

const (
	benchWriters = 100
	benchRounds  = 6
	benchTurn    = 400 * time.Millisecond
	benchNote    = "The bridge's withdrawals are paused; two of three relayers answer."
)

type contender struct {
	name   string
	do     func(writer int) error
	before func() // each turn
	groups func() int64
	cpu    []float64 // µs of this process for a command of each turn
	sizes  []float64 // commands in a group of each turn
	counts []float64 // commands a second of each turn
	delays []time.Duration
	busy   []time.Duration // of commands given after the first quarter of a turn
	beside []time.Duration // syncs of the probe meanwhile
	read   func() time.Duration
	reads  []time.Duration
}

// turn lets all writers give command after command for one turn.
func (c *contender) turn(b *testing.B, disk *disk) {
	if c.before != nil {
		c.before()
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	groups := int64(0)
	if c.groups != nil {
		groups = c.groups()
	}
	begin, cpu := time.Now(), cpuTime()
	end := begin.Add(benchTurn)
	n := 0
	for w := range benchWriters {
		wg.Go(func() {
			var mine, busy []time.Duration
			for now := time.Now(); now.Before(end); {
				if err := c.do(w); err != nil {
					b.Errorf("%s: %v", c.name, err)
					return
				}
				then := now
				now = time.Now()
				mine = append(mine, now.Sub(then))
				if then.Sub(begin) > benchTurn/4 { // a turn begins with a group of one, for which 99 wait
					busy = append(busy, now.Sub(then))
				}
			}
			mu.Lock()
			c.delays, c.busy, n = append(c.delays, mine...), append(c.busy, busy...), n+len(mine)
			mu.Unlock()
		})
	}
	wg.Go(func() { // what one sync costs beside them
		for time.Now().Before(end) {
			c.beside = append(c.beside, disk.once())
			time.Sleep(5 * time.Millisecond)
		}
	})
	if c.read != nil {
		wg.Go(func() {
			for time.Now().Before(end) {
				c.reads = append(c.reads, c.read())
				time.Sleep(time.Millisecond)
			}
		})
	}
	wg.Wait()
	c.counts = append(c.counts, float64(n)/time.Since(begin).Seconds())
	c.cpu = append(c.cpu, float64((cpuTime()-cpu).Microseconds())/float64(max(1, n)))
	if c.groups != nil {
		c.sizes = append(c.sizes, float64(n)/float64(max(1, c.groups()-groups)))
	}
}

// disk is one fsync: a 4 KB append and its fdatasync.
type disk struct {
	f     *os.File
	at    int64
	delay time.Duration
	alone []time.Duration
}

func newDisk(b *testing.B, delay time.Duration) *disk {
	f, err := os.Create(filepath.Join(b.TempDir(), "one"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return &disk{f: f, delay: delay / 2}
}

func (d *disk) once() time.Duration {
	begin := time.Now()
	time.Sleep(d.delay)
	_, err := d.f.WriteAt(make([]byte, 4096), d.at)
	if err == nil {
		err = fdatasync(d.f)
	}
	if err != nil {
		panic(err)
	}
	d.at += 4096
	return time.Since(begin)
}

func (d *disk) turn(t time.Duration) {
	for end := time.Now().Add(t); time.Now().Before(end); {
		d.alone = append(d.alone, d.once())
	}
}

// at is a quantile; it sorts.
func at(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// revisions counts groups: the log makes one revision with each.
func revisions(db store.DB) func() int64 {
	return func() int64 {
		n, _ := db.(store.Revisioner).Revision(context.Background())
		return n
	}
}

func report(all []*contender, disk *disk) {
	fmt.Printf("\none fsync (4 KB append, nothing beside it): p50 %s p99 %s\n", ms(at(disk.alone, 0.5)), ms(at(disk.alone, 0.99)))
	fmt.Printf("%-11s %10s %-18s %9s %9s %17s %17s   %s\n", "", "commands/s", "ratio", "CPU each", "in a group", "p50      p99", "one fsync beside", "in fsyncs beside: p50/p50 p99/p99, under way p99/p50 p99/p99")
	for _, c := range all {
		to := all[0]
		for _, p := range all {
			if _, n, ok := strings.Cut(c.name, "/"); ok && p.name == "peer/"+n {
				to = p
			}
		}
		var ratios []float64
		for i := range c.counts { // of the same round
			ratios = append(ratios, c.counts[i]/to.counts[i])
		}
		size := 0.0
		if len(c.sizes) > 0 {
			size = median(c.sizes)
		}
		p50, p99, b50, b99 := at(c.delays, 0.5), at(c.delays, 0.99), at(c.beside, 0.5), at(c.beside, 0.99)
		fmt.Printf("%-11s %10.0f %5.2f x %-10s %7.1fµs %9.0f %9s %8s %9s %8s   %12.1f %7.1f %19.1f %7.1f\n", c.name, median(c.counts), median(ratios), to.name, median(c.cpu), size,
			ms(p50), ms(p99), ms(b50), ms(b99), float64(p50)/float64(b50), float64(p99)/float64(b99),
			float64(at(c.busy, 0.99))/float64(b50), float64(at(c.busy, 0.99))/float64(b99))
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2fms", float64(d.Microseconds())/1000) }

func benchStore(b *testing.B, delay time.Duration) store.DB {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "tocsin.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if delay == 0 {
		return db
	}
	return slow{db, delay}
}

// slow is a store on a slower disk. MaxOps is that of the engine.
type slow struct {
	*bolt.DB
	delay time.Duration
}

func (s slow) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	time.Sleep(s.delay)
	return s.DB.Commit(ctx, txn)
}

// overHTTP gives notes to a server, each writer on a connection of its own. The
// client is as small as can be: it shares the processors with the server.
func overHTTP(b *testing.B, place, token string, incidents int) func(int) error {
	u, err := url.Parse(place)
	if err != nil {
		b.Fatal(err)
	}
	for i := range incidents {
		req, _ := http.NewRequest("POST", place+"/api/v1/incidents", bytes.NewReader([]byte(`{"title":"Measured","severity":"SEV3"}`)))
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
		r, err := http.DefaultClient.Do(req)
		if err != nil || r.StatusCode != 201 {
			b.Fatalf("declare %d: %v %v", i, r, err)
		}
		r.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	type line struct {
		c net.Conn
		r *bufio.Reader
	}
	var lines [benchWriters]line
	for w := range lines {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		lines[w] = line{c, bufio.NewReader(c)}
	}
	var failed atomic.Int64
	return func(w int) error {
		body := fmt.Sprintf(`{"id":%q,"command":"add_note","args":{"text":%q}}`, newID(), benchNote)
		l := lines[w]
		if _, err := fmt.Fprintf(l.c, "POST /api/v1/incidents/%d/commands HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", w+1, u.Host, token, len(body), body); err != nil {
			return err
		}
		r, err := http.ReadResponse(l.r, nil)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(r.Body)
		if err == nil && r.StatusCode != 200 && failed.Add(1) < 3 {
			err = fmt.Errorf("%s: %s", r.Status, answer)
		}
		return err
	}
}

// TestPeerWritesAsMuch keeps the peer of the benchmark honest: for the same
// notes it writes as many keys and bytes as the log does, within 3 %.
func TestPeerWritesAsMuch(t *testing.T) {
	keys, size := 0, 0
	counted := counting{memory(), &keys, &size}
	h := open(t, counted)
	n := h.declared("Measured")
	keys, size = 0, 0
	const notes = 50
	p := &peer{seqs: map[int]uint64{}}
	want, wantSize := 0, 0
	for range notes {
		id := newID()
		h.must(n, incident.AddNote{Text: benchNote}, id)
		_ = p.ops([]*peerCall{{incident: int(n), cause: id}}, func(key, value []byte) error {
			want, wantSize = want+1, wantSize+len(key)+len(value)
			return nil
		})
	}
	if keys != want {
		t.Errorf("the log writes %d keys, the peer %d", keys, want)
	}
	if diff := size - wantSize; diff < -wantSize*3/100 || diff > wantSize*3/100 {
		t.Errorf("the log writes %d bytes, the peer %d", size, wantSize)
	}
	t.Logf("%d notes: the log writes %d keys and %d bytes, the peer %d and %d", notes, keys, size, want, wantSize)
}

// counting counts the keys and bytes of every Commit.
type counting struct {
	store.DB
	keys, size *int
}

func (c counting) MaxOps() int { return store.OpLimit(c.DB) }

func (c counting) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	for _, op := range txn.Then {
		*c.keys++
		*c.size += len(op.Key) + len(op.Value)
	}
	return c.DB.Commit(ctx, txn)
}
