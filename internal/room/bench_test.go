package room

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
// group waits that much longer, as on a slower disk; HTTP then is left out.
//
//	go test -run xxx -bench Commands -benchtime 1x ./internal/room
func BenchmarkCommands(b *testing.B) {
	delay, _ := time.ParseDuration(os.Getenv("TOCSIN_DISK"))
	all := []*contender{}
	add := func(name string, do func(writer int) error) {
		all = append(all, &contender{name: name, do: do})
	}
	bare := newPeer(b, delay)
	add("peer", func(w int) error { return bare.do(w, newID()) })
	bare10 := newPeer(b, delay)
	add("peer/10", func(w int) error { return bare10.do(w%10, newID()) })
	bare1 := newPeer(b, delay)
	add("peer/1", func(w int) error { return bare1.do(0, newID()) })

	plain := benchStore(b, delay)
	shape, shaping := &peer{seqs: map[int]uint64{}}, sync.Mutex{}
	add("store", func(w int) error {
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

	log, err := eventlog.Open(context.Background(), benchStore(b, delay), eventlog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	body, err := draft([]incident.Body{incident.NoteAdded{Text: benchNote}}, meta("x"))
	if err != nil {
		b.Fatal(err)
	}
	add("log", func(w int) error {
		d := body[0]
		d.Causation = newID()
		_, err := log.Append(context.Background(), eventlog.Batch{Stream: Stream(int64(w + 1)), Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{d}})
		return err
	})
	for _, incidents := range []int{100, 10, 1} {
		h, first := open(b, benchStore(b, delay)), int64(0)
		add(fmt.Sprintf("rooms/%d", incidents), func(w int) error {
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
	if place := os.Getenv("TOCSIN_PRODUCT"); place != "" && delay == 0 {
		add("http", overHTTP(b, place, os.Getenv("TOCSIN_TOKEN")))
	}
	only := regexp.MustCompile("peer|" + os.Getenv("TOCSIN_ONLY"))
	all = slices.DeleteFunc(all, func(c *contender) bool { return !only.MatchString(c.name) })
	disk := newDisk(b, delay)
	for range benchRounds {
		disk.turn(benchTurn / 2)
		for _, c := range all {
			c.turn(b, disk)
		}
	}
	report(all, disk)
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
	before func()    // each turn
	counts []float64 // commands a second of each turn
	delays []time.Duration
	beside []time.Duration // syncs of the probe meanwhile
}

// turn lets all writers give command after command for one turn.
func (c *contender) turn(b *testing.B, disk *disk) {
	if c.before != nil {
		c.before()
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := time.Now()
	end := begin.Add(benchTurn)
	n := 0
	for w := range benchWriters {
		wg.Go(func() {
			var mine []time.Duration
			for now := time.Now(); now.Before(end); {
				if err := c.do(w); err != nil {
					b.Errorf("%s: %v", c.name, err)
					return
				}
				then := now
				now = time.Now()
				mine = append(mine, now.Sub(then))
			}
			mu.Lock()
			c.delays, n = append(c.delays, mine...), n+len(mine)
			mu.Unlock()
		})
	}
	wg.Go(func() { // what one sync costs beside them
		for time.Now().Before(end) {
			c.beside = append(c.beside, disk.once())
			time.Sleep(5 * time.Millisecond)
		}
	})
	wg.Wait()
	c.counts = append(c.counts, float64(n)/time.Since(begin).Seconds())
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

func report(all []*contender, disk *disk) {
	one, one99 := at(disk.alone, 0.5), at(disk.alone, 0.99)
	fmt.Printf("\none fsync (4 KB append, nothing beside it): p50 %s p99 %s of %d\n", us(one), us(one99), len(disk.alone))
	fmt.Printf("%-10s %10s %14s   %9s %9s   %-34s %s\n", "100 x", "commands/s", "ratio to peer", "p50", "p99", "one fsync beside it p50, p99", "p50 and p99 in fsyncs beside it (same quantile)")
	peers := map[string]*contender{}
	for _, c := range all {
		peers[c.name] = c
	}
	for _, c := range all {
		to := all[0]
		if p := peers["peer"+c.name[max(0, len(c.name)-3):]]; p != nil && p.name == "peer/10" {
			to = p
		}
		if c.name == "rooms/1" || c.name == "peer/1" {
			to = peers["peer/1"]
		}
		var ratios []float64
		for i := range c.counts { // of the same round
			ratios = append(ratios, c.counts[i]/to.counts[i])
		}
		p50, p99, b50, b99 := at(c.delays, 0.5), at(c.delays, 0.99), at(c.beside, 0.5), at(c.beside, 0.99)
		fmt.Printf("%-10s %10.0f %8.2f x %-6s %9s %9s   %9s %9s %14s %5.1f %5.1f\n", c.name, median(c.counts), median(ratios), to.name[4:],
			us(p50), us(p99), us(b50), us(b99), "", float64(p50)/float64(b50), float64(p99)/float64(b99))
	}
}

func us(d time.Duration) string { return fmt.Sprintf("%.2fms", float64(d.Microseconds())/1000) }

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
func overHTTP(b *testing.B, place, token string) func(int) error {
	u, err := url.Parse(place)
	if err != nil {
		b.Fatal(err)
	}
	const incidents = 100
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
		if _, err := fmt.Fprintf(l.c, "POST /api/v1/incidents/%d/commands HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", w%incidents+1, u.Host, token, len(body), body); err != nil {
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
