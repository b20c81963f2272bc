package web

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/tocsin-ops/tocsin/internal/projection"
)

// statusPages keeps the rendered public documents. Each is made once per change,
// by whoever asks first, however many people look; who asks for one that is kept
// takes no lock but the leaf lock of World.ChangedAt.
type statusPages struct {
	s     *Server
	paths map[string]*kind // what the fast path answers by its path; never changed after newStatusPages

	kept atomic.Pointer[map[key]*document] // a map is never changed after it is stored
	mu   sync.Mutex                        // guards told, and who replaces kept; rendering happens under it, so that a rush renders once
	told map[string]telling                // audience -> what it was told; bounded by the audiences
	wake chan struct{}                     // capacity 1: something may want brotli

	doorstep int // live sockets of strangers from one address
}

// Bounds of what strangers can make the server keep: documents that carry the
// Host that was asked for, and months of history. Above either bound all of them
// go. The fixed ones (fixedKinds and one page for each audience) always stay.
const (
	maxStray      = 64
	maxStrayBytes = 16 << 20 // all encodings together
)

// kind is one sort of document.
type kind struct {
	name, route, mime string
	fixed             bool // its names come from the configuration, so it always stays and gets brotli
	based             bool // it carries the address of this server
	make              func(s *Server, o order) ([]byte, error)
	seen              [2][2]atomic.Int64 // answers of the fast path: GET or HEAD, 200 or 304
}

// key names a kept document. host and tls are those of the request, for kinds
// that carry the server's address while no public_url says what it is.
type key struct {
	kind     *kind
	audience string // "" = public
	part     string // of the history
	host     string
	tls      bool
}

func (k key) fixed() bool { return k.kind.fixed && k.host == "" }

// order is what a document is made of.
type order struct {
	audience, part string
	base           string // outside address, for kinds that carry it
	at             int64  // position of the last change of status pages, -1 for none
	now            int64
	told           telling
}

// document is one answer for many people. It is never changed after it is kept:
// the same with brotli is another.
type document struct {
	at    int64 // position of the last change that it shows for certain
	until int64 // unix ms from which the clock alone makes it untrue
	codings
}

func newStatusPages(s *Server) *statusPages {
	p := &statusPages{s: s, paths: map[string]*kind{}, told: map[string]telling{}, wake: make(chan struct{}, 1), doorstep: doorstep}
	p.kept.Store(&map[key]*document{})
	for _, k := range fixedKinds() {
		p.paths[k.name] = k
	}
	return p
}

// key names the public document of a kind for a request.
func (p *statusPages) key(k *kind, r *http.Request) key {
	if k.based && p.s.PublicURL == "" {
		return key{kind: k, host: r.Host, tls: r.TLS != nil}
	}
	return key{kind: k}
}

// document returns the kept one, or makes it when the state or the clock has
// changed since. What the world showed when the call began is in it.
func (p *statusPages) document(k key) (*document, error) {
	at, now := p.s.World.ChangedAt(projection.TopicStatus), p.s.now()
	if d := (*p.kept.Load())[k]; d.holds(at, now) {
		return d, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	was := (*p.kept.Load())[k]
	if was.holds(at, now) {
		return was, nil
	}
	told := p.telling(k.audience, at)
	o := order{audience: k.audience, part: k.part, base: p.base(k), at: at, now: now, told: told}
	body, err := k.kind.make(p.s, o)
	if err != nil {
		return nil, err
	}
	d := &document{at: at, until: told.until(now)}
	if was != nil && bytes.Equal(was.plain.body, body) {
		d.codings = was.codings // with its validators, and brotli if it has it
	} else {
		d.codings = newCodings(body, p.s.statusFields(k))
	}
	p.keep(k, d)
	return d, nil
}

func (d *document) holds(at, now int64) bool { return d != nil && d.at >= at && now < d.until }

// telling returns what an audience was told, collected once per change. Under mu.
func (p *statusPages) telling(audience string, at int64) telling {
	t, ok := p.told[audience]
	if !ok || t.at < at {
		p.s.World.Look(func(v projection.View) { t = p.s.telling(v, audience) })
		t.at = at
		p.told[audience] = t
	}
	return t
}

func (p *statusPages) base(k key) string {
	switch {
	case !k.kind.based:
		return ""
	case k.host == "":
		return p.s.PublicURL
	case k.tls:
		return "https://" + k.host
	}
	return "http://" + k.host
}

// keep replaces the document of a key. Under mu.
func (p *statusPages) keep(k key, d *document) {
	next := maps.Clone(*p.kept.Load())
	next[k] = d
	strays, size := 0, 0
	for k, d := range next {
		if !k.fixed() {
			strays++
			size += d.size()
		}
	}
	if strays > maxStray || size > maxStrayBytes {
		maps.DeleteFunc(next, func(other key, _ *document) bool { return !other.fixed() && other != k })
	}
	p.kept.Store(&next)
	if k.fixed() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// run packs fixed documents with brotli after they were published, one at a
// time, until ctx ends. Nobody waits for it.
func (p *statusPages) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		}
		for ctx.Err() == nil && p.packNext() {
		}
	}
}

// packNext gives one current document brotli; false says that none lacks it.
func (p *statusPages) packNext() bool {
	at := p.s.World.ChangedAt(projection.TopicStatus)
	for k, d := range *p.kept.Load() {
		if k.fixed() && d.br == nil && d.at >= at {
			p.pack(k, d)
			return true
		}
	}
	return false
}

// pack keeps d with brotli, unless it was replaced meanwhile.
func (p *statusPages) pack(k key, d *document) *document {
	packed := *d
	packed.br = brotliOf(d.plain.body, p.s.statusFields(k))
	p.mu.Lock()
	defer p.mu.Unlock()
	if (*p.kept.Load())[k] == d {
		next := maps.Clone(*p.kept.Load())
		next[k] = &packed
		p.kept.Store(&next)
	}
	return &packed
}
