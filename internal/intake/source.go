package intake

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
)

// Kinds of source.
const (
	Alertmanager = "alertmanager"
	PagerDuty    = "pagerduty"
	Generic      = "generic"
	Metrics      = "metrics" // samples: they go to the sample store, not to the desk
	Grafana      = "grafana"
	CloudEvents  = "cloudevents"
	Heartbeat    = "heartbeat" // beats: only their absence becomes a signal
)

// SourcesStream is the stream of source.created and source.revoked.
const SourcesStream = "sources"

// KeyLength is the length of a source's key: letters a-z and digits, as
// PagerDuty's routing keys are.
const KeyLength = 32

const (
	typeCreated   = "source.created"
	typeRevoked   = "source.revoked"
	keyPrefix     = "intake/key/"
	maxSources    = 1000 // not revoked
	maxSourceName = 80   // runes
)

// ErrUnknownKey says that no source that may send has this key.
var ErrUnknownKey = errors.New("unknown source key")

// Source is somebody who may send signals. Its key is known to the sender only.
type Source struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	CreatedAt int64  `json:"created_at"` // unix ms
	CreatedBy string `json:"created_by"` // actor
	RevokedAt int64  `json:"revoked_at,omitempty"`
	RevokedBy string `json:"revoked_by,omitempty"`
	// Mapping reads the JSON of a generic source; nil is as it comes.
	Mapping *Mapping `json:"mapping,omitempty"`
	// Undoable says that the mapping was changed, and can be changed back.
	Undoable bool `json:"-"`
	// Pace is what a heartbeat promises.
	Pace heartbeat.Pace `json:"pace,omitzero"`
	// Signed says that only deliveries with the right signature are taken.
	Signed bool `json:"signed,omitempty"`

	past     []*Mapping // before the changes that are not undone
	compiled *Compiled
}

// Actor is the source as the log names who acts.
func (s Source) Actor() string { return "source:" + s.ID }

// Sources owns who may send. It is folded from the log's stream "sources"; of a
// key only the SHA-256 is kept, in the store, never in the log.
type Sources struct {
	log   Log
	db    store.DB
	clock Clock

	turn chan struct{} // capacity 1: who holds it may fold and append

	mu   sync.RWMutex // guards what is below
	byID map[string]Source
	seq  int64
}

// NewSources returns the sources kept in log and db. It reads nothing yet.
func NewSources(log Log, db store.DB, clock Clock) *Sources {
	return &Sources{log: log, db: db, clock: clock, turn: make(chan struct{}, 1), byID: map[string]Source{}}
}

type created struct {
	ID   string         `json:"id"`
	Name string         `json:"name"`
	Kind string         `json:"kind"`
	Pace heartbeat.Pace `json:"pace,omitzero"`
}

type revoked struct {
	ID string `json:"id"`
}

// Create makes a source and its key. The key is returned this once and cannot be
// read again. The error is a *incident.Refusal or the store's or the log's.
func (s *Sources) Create(ctx context.Context, actor string, o Order) (Source, string, error) {
	name, kind := signal.Line(o.Name, maxSourceName+1), o.Kind
	switch {
	case name == "":
		return Source{}, "", &incident.Refusal{Code: "name_missing", Sentence: "Give the source a name, for example the host that sends."}
	case utf8.RuneCountInString(name) > maxSourceName:
		return Source{}, "", &incident.Refusal{Code: "text_too_long", Sentence: fmt.Sprintf("The name has more than %d characters. Shorten it.", maxSourceName)}
	}
	if err := takes(kind); err != nil {
		return Source{}, "", err
	}
	if err := o.check(); err != nil {
		return Source{}, "", err
	}
	if err := s.lock(ctx); err != nil {
		return Source{}, "", err
	}
	defer s.unlock()
	if err := s.refresh(ctx); err != nil {
		return Source{}, "", err
	}
	if len(s.active()) >= maxSources {
		return Source{}, "", &incident.Refusal{Code: "too_many", Sentence: fmt.Sprintf("There are %d sources already. Revoke one that is not used.", maxSources)}
	}
	id := prefixes[kind] + "-" + random(6)
	for s.known(id) {
		id = prefixes[kind] + "-" + random(6)
	}
	key := random(KeyLength)
	// The key first: a key without a source opens nothing, a source without a
	// key would look alive and be deaf.
	if _, err := s.db.Commit(ctx, store.Txn{Then: []store.Op{{Key: storeKey(key), Value: []byte(id)}}}); err != nil {
		return Source{}, "", fmt.Errorf("keep the key of source %s: %w", id, err)
	}
	if err := s.append(ctx, actor, typeCreated, created{ID: id, Name: name, Kind: kind, Pace: o.Pace}); err != nil {
		return Source{}, "", err
	}
	src, _ := s.ByID(id)
	return src, key, nil
}

// Revoke ends a source: its key opens nothing any more, its signals stay. It is
// no error to revoke twice. A source that never was is refused.
func (s *Sources) Revoke(ctx context.Context, actor, id string) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.refresh(ctx); err != nil {
		return err
	}
	src, ok := s.ByID(id)
	if !ok {
		return &incident.Refusal{Code: "no_such_source", Sentence: "There is no source with this id."}
	}
	if src.RevokedAt != 0 {
		return nil
	}
	return s.append(ctx, actor, typeRevoked, revoked{ID: id})
}

// ByKey returns the source that owns a key, or ErrUnknownKey when there is none
// or it was revoked, here or on another replica.
func (s *Sources) ByKey(ctx context.Context, key string) (Source, error) {
	if !plainKey.MatchString(key) {
		return Source{}, ErrUnknownKey
	}
	kv, err := s.db.Get(ctx, storeKey(key))
	if errors.Is(err, store.ErrNotFound) {
		return Source{}, ErrUnknownKey
	}
	if err != nil {
		return Source{}, fmt.Errorf("look up a source key: %w", err)
	}
	if err := s.Refresh(ctx); err != nil {
		return Source{}, err
	}
	src, ok := s.ByID(string(kv.Value))
	if !ok || src.RevokedAt != 0 {
		return Source{}, ErrUnknownKey
	}
	return src, nil
}

// List returns all sources as of now, revoked ones too, oldest first.
func (s *Sources) List(ctx context.Context) ([]Source, error) {
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]Source, 0, len(s.byID))
	for _, src := range s.byID {
		all = append(all, src)
	}
	slices.SortFunc(all, func(a, b Source) int {
		if a.CreatedAt != b.CreatedAt {
			return int(a.CreatedAt - b.CreatedAt)
		}
		return int(slices.Compare([]byte(a.ID), []byte(b.ID)))
	})
	return all, nil
}

// ByID returns a source as last folded.
func (s *Sources) ByID(id string) (Source, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	src, ok := s.byID[id]
	return src, ok
}

// Refresh folds what the log has beyond what is known.
func (s *Sources) Refresh(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.refresh(ctx)
}

func (s *Sources) lock(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the sources: %w", ctx.Err())
	}
}

func (s *Sources) unlock() { <-s.turn }

func (s *Sources) refresh(ctx context.Context) error {
	for {
		events, err := s.log.ReadStream(ctx, SourcesStream, s.seq+1, page)
		if err != nil {
			return fmt.Errorf("read %s from %d: %w", SourcesStream, s.seq+1, err)
		}
		s.fold(events)
		if len(events) < page {
			return nil
		}
	}
}

func (s *Sources) append(ctx context.Context, actor, typ string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode %s: %w", typ, err)
	}
	events, err := s.log.Append(ctx, eventlog.Batch{Stream: SourcesStream, Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{
		{At: s.clock().UnixMilli(), Actor: actor, Type: typ, Version: 1, Data: data},
	}})
	if err != nil {
		return fmt.Errorf("append %s: %w", typ, err)
	}
	if events[0].Seq == s.seq+1 {
		s.fold(events)
		return nil
	}
	return s.refresh(ctx)
}

// fold applies events; the caller holds turn.
func (s *Sources) fold(events []eventlog.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		s.seq = e.Seq
		switch e.Type {
		case typeCreated:
			var b created
			if json.Unmarshal(e.Data, &b) == nil && b.ID != "" {
				s.byID[b.ID] = Source{ID: b.ID, Name: b.Name, Kind: b.Kind, CreatedAt: e.At, CreatedBy: e.Actor, Pace: b.Pace}
			}
		case typeRevoked:
			var b revoked
			if json.Unmarshal(e.Data, &b) != nil {
				continue
			}
			if src, ok := s.byID[b.ID]; ok && src.RevokedAt == 0 {
				src.RevokedAt, src.RevokedBy = e.At, e.Actor
				s.byID[b.ID] = src
			}
		default:
			s.set(e.Type, e.Data)
		}
	}
}

func (s *Sources) active() []Source {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Source
	for _, src := range s.byID {
		if src.RevokedAt == 0 {
			out = append(out, src)
		}
	}
	return out
}

func (s *Sources) known(id string) bool { _, ok := s.ByID(id); return ok }

var prefixes = map[string]string{Alertmanager: "am", PagerDuty: "pd", Generic: "json", Metrics: "m", Grafana: "gf", CloudEvents: "ce", Heartbeat: "hb"}

// Kinds are those of which sources can be made, in the order in which pages show them.
var Kinds = []string{Alertmanager, Grafana, PagerDuty, CloudEvents, Generic, Heartbeat, Metrics}

// takes refuses what is no kind.
func takes(kind string) error {
	if _, ok := prefixes[kind]; ok {
		return nil
	}
	return &incident.Refusal{Code: "bad_kind", Sentence: "The kind of a source is " + strings.Join(Kinds[:len(Kinds)-1], ", ") + " or " + Kinds[len(Kinds)-1] + "."}
}

var plainKey = regexp.MustCompile(`^[a-z0-9]{32}$`)

func storeKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return []byte(keyPrefix + hex.EncodeToString(sum[:]))
}

// random returns n characters a-z0-9, each equally likely.
func random(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, n)
	var buf [64]byte
	for len(out) < n {
		_, _ = rand.Read(buf[:]) // never fails, see crypto/rand
		for _, b := range buf {
			if b < 252 && len(out) < n { // 252 = 7*36
				out = append(out, alphabet[b%36])
			}
		}
	}
	return string(out)
}

// Known returns what was folded last, without asking the log, by name.
func (s *Sources) Known() []Source {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Source, 0, len(s.byID))
	for _, src := range s.byID {
		out = append(out, src)
	}
	slices.SortFunc(out, func(a, b Source) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}
