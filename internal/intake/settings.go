package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
)

const (
	typeMapped = "source.mapped"
	typePaced  = "source.paced"
	typeSigned = "source.signed"

	secretPrefix = "intake/secret/"
	maxPast      = 20 // earlier mappings of a source that Undo knows
)

// Bounds of a secret, in bytes.
const (
	MinSecret = 16
	MaxSecret = 200
)

type mapped struct {
	ID      string   `json:"id"`
	Mapping *Mapping `json:"mapping"` // nil: as it comes
	Undo    bool     `json:"undo,omitempty"`
}

type paced struct {
	ID   string         `json:"id"`
	Pace heartbeat.Pace `json:"pace"`
}

type signed struct {
	ID     string `json:"id"`
	Signed bool   `json:"signed"`
}

// Order is what a new source is to be.
type Order struct {
	Name, Kind string
	// Pace of a heartbeat; Grace 0 is the usual one.
	Pace heartbeat.Pace
}

func (o *Order) check() error {
	if o.Kind != Heartbeat {
		o.Pace = heartbeat.Pace{}
		return nil
	}
	if o.Pace.Grace == 0 {
		o.Pace.Grace = heartbeat.DefaultGrace(o.Pace.Every)
	}
	return checkPace(o.Pace)
}

func checkPace(p heartbeat.Pace) error {
	if wrong := p.Check(); wrong != "" {
		return &incident.Refusal{Code: "bad_pace", Sentence: wrong}
	}
	if p.Severity != "" && signal.Rank(p.Severity) == 0 {
		return &incident.Refusal{Code: "bad_severity", Sentence: "The severity is SEV1 to SEV5."}
	}
	return nil
}

// Map sets how the JSON of a source of kind generic is read; an empty mapping is
// as it comes. The error is a *incident.Refusal for a source that cannot have
// one, and Compile's for a mapping that is wrong.
func (s *Sources) Map(ctx context.Context, actor, id string, m Mapping) error {
	if _, err := m.Compile(); err != nil {
		return err
	}
	b := mapped{ID: id, Mapping: &m}
	if m.Empty() {
		b.Mapping = nil
	}
	for name, text := range m.Fields {
		if strings.TrimSpace(text) == "" {
			delete(m.Fields, name)
		}
	}
	return s.change(ctx, actor, id, Generic, typeMapped, b)
}

// UndoMap gives a source the mapping back that it had before the newest change.
func (s *Sources) UndoMap(ctx context.Context, actor, id string) error {
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	src, ok := s.ByID(id)
	if !ok || len(src.past) == 0 {
		return &incident.Refusal{Code: "nothing_to_undo", Sentence: "The mapping of this source has not been changed, or all changes are undone."}
	}
	return s.change(ctx, actor, id, Generic, typeMapped, mapped{ID: id, Mapping: src.past[len(src.past)-1], Undo: true})
}

// SetPace changes what a heartbeat promises.
func (s *Sources) SetPace(ctx context.Context, actor, id string, p heartbeat.Pace) error {
	if p.Grace == 0 {
		p.Grace = heartbeat.DefaultGrace(p.Every)
	}
	if err := checkPace(p); err != nil {
		return err
	}
	return s.change(ctx, actor, id, Heartbeat, typePaced, paced{id, p})
}

// Sign sets the secret with which a source of kind grafana signs; "" takes it
// away, so that deliveries are taken unsigned. The secret is kept in the store,
// never in the log, and cannot be read again. After an error the source is as
// before or as it was to be: it is never signed without a secret.
func (s *Sources) Sign(ctx context.Context, actor, id, secret string) error {
	if secret != "" && (len(secret) < MinSecret || len(secret) > MaxSecret) {
		return &incident.Refusal{Code: "bad_secret", Sentence: fmt.Sprintf("A secret has %d to %d characters.", MinSecret, MaxSecret)}
	}
	if src, ok := s.ByID(id); !ok || src.Kind != Grafana || src.RevokedAt != 0 {
		return &incident.Refusal{Code: "wrong_kind", Sentence: "Only sources of kind grafana are signed."}
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.changeable(ctx, id, Grafana); err != nil {
		return err
	}
	key := []byte(secretPrefix + id)
	if secret != "" {
		// The secret first: were the source signed first, it would be checked
		// against no secret, or against one that was to be gone.
		if _, err := s.db.Commit(ctx, store.Txn{Then: []store.Op{{Key: key, Value: []byte(secret)}}}); err != nil {
			return fmt.Errorf("keep the secret of source %s: %w", id, err)
		}
		return s.append(ctx, actor, typeSigned, signed{id, true})
	}
	kv, err := s.db.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("look for the secret of source %s: %w", id, err)
	}
	had := err == nil
	if err := s.append(ctx, actor, typeSigned, signed{id, false}); err != nil {
		return err
	}
	if !had {
		return nil
	}
	_, err = s.db.Commit(ctx, store.Txn{If: []store.Cond{{Key: key, Rev: kv.Rev}}, Then: []store.Op{{Key: key, Delete: true}}})
	if errors.Is(err, store.ErrConflict) {
		return &incident.Refusal{Code: "secret_changed", Sentence: "Somebody else has changed the secret of this source meanwhile. Look at the source and try again."}
	}
	if err != nil {
		return fmt.Errorf("delete the secret of source %s, which is unsigned now: %w", id, err)
	}
	return nil
}

// secret of a source; nil when it has none.
func (s *Sources) secret(ctx context.Context, id string) ([]byte, error) {
	kv, err := s.db.Get(ctx, []byte(secretPrefix+id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret of source %s: %w", id, err)
	}
	return kv.Value, nil
}

// change appends one setting of a source that is of a kind and not revoked.
func (s *Sources) change(ctx context.Context, actor, id, kind, typ string, body any) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.changeable(ctx, id, kind); err != nil {
		return err
	}
	return s.append(ctx, actor, typ, body)
}

// changeable refuses a source that is not of a kind, or revoked, as of now; the caller holds turn.
func (s *Sources) changeable(ctx context.Context, id, kind string) error {
	if err := s.refresh(ctx); err != nil {
		return err
	}
	switch src, ok := s.ByID(id); {
	case !ok:
		return &incident.Refusal{Code: "no_such_source", Sentence: "There is no source with this id."}
	case src.RevokedAt != 0:
		return &incident.Refusal{Code: "revoked", Sentence: "This source was revoked. Make another."}
	case src.Kind != kind:
		return &incident.Refusal{Code: "wrong_kind", Sentence: fmt.Sprintf("This is for sources of kind %s, and the source is of kind %s.", kind, src.Kind)}
	}
	return nil
}

// set folds a setting; the caller holds mu.
func (s *Sources) set(typ string, data []byte) {
	switch typ {
	case typeMapped:
		var b mapped
		if json.Unmarshal(data, &b) != nil {
			return
		}
		src, ok := s.byID[b.ID]
		if !ok {
			return
		}
		if b.Undo && len(src.past) > 0 {
			src.past = src.past[:len(src.past)-1]
		} else {
			src.past = append(src.past[max(0, len(src.past)-maxPast+1):len(src.past):len(src.past)], src.Mapping)
		}
		src.Mapping, src.compiled, src.Undoable = b.Mapping, nil, len(src.past) > 0
		if b.Mapping != nil {
			src.compiled, _ = b.Mapping.Compile() // nil: it says no more what it said; see Gate.generic
		}
		s.byID[b.ID] = src
	case typePaced:
		var b paced
		if json.Unmarshal(data, &b) != nil {
			return
		}
		if src, ok := s.byID[b.ID]; ok {
			src.Pace = b.Pace
			s.byID[b.ID] = src
		}
	case typeSigned:
		var b signed
		if json.Unmarshal(data, &b) != nil {
			return
		}
		if src, ok := s.byID[b.ID]; ok {
			src.Signed = b.Signed
			s.byID[b.ID] = src
		}
	}
}
