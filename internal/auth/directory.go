package auth

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
)

// Standing says where a person stands.
type Standing string

// The standings.
const (
	Invited Standing = "invited"
	Joined  Standing = "joined"
	Removed Standing = "removed"
)

// Person is one human being as the log knows them. Handle never changes, so it
// is what the record, roles and mentions point at.
type Person struct {
	Handle    string   `json:"handle"`
	Name      string   `json:"name"`
	Role      Role     `json:"role"`
	Audience  string   `json:"audience,omitempty"`
	Standing  Standing `json:"standing"`
	InvitedAt int64    `json:"invited_at,omitempty"`
	JoinedAt  int64    `json:"joined_at,omitempty"`
	RemovedAt int64    `json:"removed_at,omitempty"`
	// Invitation is the public id of the newest invitation; older links of the
	// same person are void.
	Invitation string `json:"-"`
}

// Token is an API or wall token as the log knows it: everything but the secret.
type Token struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Kind      string `json:"kind"` // "api" or "wall"
	Role      Role   `json:"role"`
	Audience  string `json:"audience,omitempty"`
	CreatedAt int64  `json:"created_at"`
	CreatedBy string `json:"created_by"`
	ExpiresAt int64  `json:"expires_at,omitempty"` // 0 = never
	RevokedAt int64  `json:"revoked_at,omitempty"` // 0 = valid
	// LastUsedAt is filled by Service.Tokens only, exact to the minute.
	LastUsedAt int64 `json:"last_used_at,omitempty"`
}

// Directory is who there is: the fold of the stream "people", in memory. Reads
// never block and always see the state of one moment.
type Directory struct {
	mu  sync.Mutex // held by Apply
	now atomic.Pointer[roll]
}

// roll is one immutable state of the directory.
type roll struct {
	seq     int64
	people  map[string]Person
	tokens  map[string]Token
	joins   map[string]join // by invitation
	admins  int             // joined administrators
	anybody bool            // somebody joined, ever
}

// join is the event that used an invitation.
type join struct {
	handle, causation string
	at                int64
}

// NewDirectory returns an empty directory.
func NewDirectory() *Directory {
	d := &Directory{}
	d.now.Store(&roll{people: map[string]Person{}, tokens: map[string]Token{}, joins: map[string]join{}})
	return d
}

// Apply folds one event of the stream. Events at or before the position are
// ignored, blanked and unknown ones only move it. It never fails.
func (d *Directory) Apply(e eventlog.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.now.Load()
	if e.Stream != Stream || e.Seq <= was.seq {
		return
	}
	next := *was
	next.seq = e.Seq
	var f Fact
	if e.Data != nil && json.Unmarshal(e.Data, &f) == nil {
		next.apply(e, f)
	}
	d.now.Store(&next)
}

func (r *roll) apply(e eventlog.Event, f Fact) {
	switch e.Type {
	case PersonInvited, InvitationRevoked, PersonJoined, PersonRoleChanged, PersonRenamed, PersonRemoved:
		if f.Handle == "" {
			return
		}
		r.people = maps.Clone(r.people)
		p, known := r.people[f.Handle]
		if !known {
			p.Handle = f.Handle
		}
		switch e.Type {
		case PersonInvited:
			p.Name, p.Role, p.Audience, p.Invitation = f.Name, f.Role, f.Audience, f.Invitation
			p.Standing, p.InvitedAt, p.RemovedAt = Invited, e.At, 0
		case InvitationRevoked:
			if p.Standing != Invited {
				return
			}
			p.Standing, p.Invitation, p.RemovedAt = Removed, "", e.At
		case PersonJoined:
			p.Name, p.Role, p.Audience = f.Name, f.Role, f.Audience
			p.Standing, p.JoinedAt, p.RemovedAt, p.Invitation = Joined, e.At, 0, f.Invitation
			r.joins = maps.Clone(r.joins)
			r.joins[f.Invitation] = join{f.Handle, e.Causation, e.At}
			r.anybody = true
		case PersonRoleChanged:
			p.Role, p.Audience = f.Role, f.Audience
		case PersonRenamed:
			p.Name = f.Name
		case PersonRemoved:
			p.Standing, p.RemovedAt, p.Invitation = Removed, e.At, ""
		}
		r.people[f.Handle] = p
		r.admins = 0
		for _, p := range r.people {
			if p.Standing == Joined && p.Role == RoleAdministrator {
				r.admins++
			}
		}
	case TokenCreated:
		if f.ID == "" {
			return
		}
		r.tokens = maps.Clone(r.tokens)
		r.tokens[f.ID] = Token{ID: f.ID, Name: f.Name, Kind: f.Kind, Role: f.Role, Audience: f.Audience,
			CreatedAt: e.At, CreatedBy: e.Actor, ExpiresAt: f.ExpiresAt}
	case TokenRevoked:
		if t, ok := r.tokens[f.ID]; ok && t.RevokedAt == 0 {
			r.tokens = maps.Clone(r.tokens)
			t.RevokedAt = max(e.At, 1)
			r.tokens[f.ID] = t
		}
	}
}

// Seq returns the sequence in the stream of the last event folded; 0 = none.
func (d *Directory) Seq() int64 { return d.now.Load().seq }

// People returns everybody who was ever invited, by handle; the slice is the
// caller's own.
func (d *Directory) People() []Person {
	return slices.SortedFunc(maps.Values(d.now.Load().people), func(a, b Person) int { return strings.Compare(a.Handle, b.Handle) })
}

// Person returns the person with this handle.
func (d *Directory) Person(handle string) (Person, bool) {
	p, ok := d.now.Load().people[handle]
	return p, ok
}

// Tokens returns every token ever created, oldest first; the slice is the
// caller's own.
func (d *Directory) Tokens() []Token {
	return slices.SortedFunc(maps.Values(d.now.Load().tokens), func(a, b Token) int {
		if a.CreatedAt != b.CreatedAt {
			return int(min(max(a.CreatedAt-b.CreatedAt, -1), 1))
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// Token returns the token with this public id.
func (d *Directory) Token(id string) (Token, bool) {
	t, ok := d.now.Load().tokens[id]
	return t, ok
}

// Founded reports whether anybody ever joined.
func (d *Directory) Founded() bool { return d.now.Load().anybody }
