package room

import (
	"encoding/binary"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// peer is what BenchmarkCommands measures against: bare bbolt with the very
// same kind of group commit (the first caller leads, the next group forms
// meanwhile and waits as long for those who are not back), which writes as many keys and bytes for each command as
// our log does, and judges, hashes and signs nothing.
type peer struct {
	db    *bbolt.DB
	delay time.Duration // of a simulated disk, on top of the real one

	mu     sync.Mutex
	queue  []*peerCall
	busy   bool
	events uint64
	groups int64
	crowd  int // of the last group: written and left waiting
	took   time.Duration
	full   chan struct{}
	seqs   map[int]uint64
}

type peerCall struct {
	incident int
	cause    string
	wake     chan bool // true: lead; false: done
}

// Sizes of what the log writes for one note of a person; TestPeerWritesAsMuch
// keeps them true.
const (
	peerRecord     = 404
	peerCheckpoint = 188
	peerHashes     = 64 // of one event
)

var peerBucket = []byte("keys")

func newPeer(b testing.TB, delay time.Duration) *peer {
	b.Helper()
	o := &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoStatistics: true}
	if runtime.GOOS != "windows" {
		o.InitialMmapSize = 8 << 30
	}
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(peerBucket); return err }); err != nil {
		b.Fatal(err)
	}
	return &peer{db: db, delay: delay, seqs: map[int]uint64{}}
}

func (p *peer) do(incident int, cause string) error {
	c := &peerCall{incident: incident, cause: cause, wake: make(chan bool, 1)}
	p.mu.Lock()
	p.queue = append(p.queue, c)
	if p.full != nil && len(p.queue) >= p.crowd {
		close(p.full)
		p.full = nil
	}
	lead := !p.busy
	p.busy = true
	p.mu.Unlock()
	if !lead && !<-c.wake {
		return nil
	}
	p.mu.Lock()
	for i := 0; i < 16 && len(p.queue) < p.crowd; i++ { // as store/bolt does
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
	}
	if wait := p.took / gather; wait >= gatherLeast && len(p.queue) < p.crowd { // as the log does
		full := make(chan struct{})
		p.full = full
		p.mu.Unlock()
		late := time.NewTimer(wait)
		select {
		case <-full:
		case <-late.C:
		}
		late.Stop()
		p.mu.Lock()
		p.full = nil
	}
	group := p.queue
	p.queue = nil
	p.mu.Unlock()
	begin := time.Now()
	err := p.write(group)
	for _, c := range group[1:] {
		c.wake <- false
	}
	p.mu.Lock()
	p.crowd, p.took = len(group)+len(p.queue), time.Since(begin)
	if len(p.queue) > 0 {
		p.queue[0].wake <- true
	} else {
		p.busy = false
	}
	p.mu.Unlock()
	return err
}

func (p *peer) write(group []*peerCall) error {
	time.Sleep(p.delay)
	p.groups++
	return p.db.Update(func(tx *bbolt.Tx) error {
		keys := tx.Bucket(peerBucket)
		keys.FillPercent = 0.8
		return p.ops(group, keys.Put)
	})
}

// ops are the writes of a group: record, id and causation of each event, one
// run of each stream, the hashes and the checkpoint.
func (p *peer) ops(group []*peerCall, put func(key, value []byte) error) error {
	var fault error
	write := func(value []byte, name string, n ...uint64) {
		key := []byte(name)
		for _, n := range n {
			key = binary.BigEndian.AppendUint64(key, n)
		}
		if err := put(key, value); err != nil {
			fault = err
		}
	}
	first := p.events
	streams := map[int]uint64{}
	for _, c := range group {
		write(make([]byte, peerRecord), "log/event/", p.events)
		write(make([]byte, 8), "log/id/"+uuid.Must(uuid.NewV7()).String())
		write(make([]byte, 8), "log/of/"+c.cause+"\x00", p.events)
		p.events++
		streams[c.incident]++
	}
	for incident, n := range streams {
		write(make([]byte, 16), "log/stream/"+Stream(int64(incident))+"\x00", p.seqs[incident])
		p.seqs[incident] += n
	}
	write(make([]byte, peerHashes*len(group)), "log/hash/", 2*first)
	write(make([]byte, peerCheckpoint), "log/checkpoint")
	return fault
}
