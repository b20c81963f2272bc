package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/tocsin-ops/tocsin/store"
)

const (
	ceremonyLife  = 5 * minute
	responseMost  = 64 << 10 // bytes of what a browser answers
	passkeysOfOne = 20
)

// Ceremony is one begun registration or sign-in. Options go to the browser's
// navigator.credentials.create or .get as they are; the answer comes back with
// ID within five minutes, once.
type Ceremony struct {
	ID      string          `json:"id"`
	Options json.RawMessage `json:"options"`
}

// Passkey is a passkey as its owner sees it.
type Passkey struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt int64  `json:"created_at"`
	UsedAt    int64  `json:"used_at,omitempty"`   // last sign-in
	Synced    bool   `json:"synced"`              // kept by a provider on several devices
	Suspected bool   `json:"suspected,omitempty"` // its counter went backwards once: perhaps a copy exists
}

// ceremonyRecord is the server's half of a ceremony. It holds no key.
type ceremonyRecord struct {
	Handle    string               `json:"handle,omitempty"` // empty: sign-in
	Session   string               `json:"session,omitempty"`
	Host      string               `json:"host"`
	Data      webauthn.SessionData `json:"data"`
	ExpiresAt int64                `json:"expires_at"`
}

type passkeyRecord struct {
	Handle     string              `json:"handle"`
	Host       string              `json:"host"` // the relying party it is bound to
	Name       string              `json:"name"`
	Credential webauthn.Credential `json:"credential"` // public key and counter
	CreatedAt  int64               `json:"created_at"`
	UsedAt     int64               `json:"used_at,omitempty"`
}

// passkeyID is the public id of a credential: its own id may be up to 1,023
// bytes long.
func passkeyID(credential []byte) string {
	sum := sha256.Sum256(credential)
	return hex.EncodeToString(sum[:16])
}

// keyholder is a person as the library wants to see one.
type keyholder struct {
	id          []byte
	handle      string
	name        string
	credentials []webauthn.Credential
}

func (k keyholder) WebAuthnID() []byte                         { return k.id }
func (k keyholder) WebAuthnName() string                       { return k.handle }
func (k keyholder) WebAuthnDisplayName() string                { return k.name }
func (k keyholder) WebAuthnCredentials() []webauthn.Credential { return k.credentials }

func (s *Service) keepCeremony(ctx context.Context, c ceremonyRecord, options any) (Ceremony, error) {
	id, err := s.publicID()
	if err != nil {
		return Ceremony{}, err
	}
	raw, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, fmt.Errorf("encode passkey options: %w", err)
	}
	c.ExpiresAt = s.clock() + ceremonyLife
	if _, err := s.db.Commit(ctx, store.Txn{If: []store.Cond{cond(keyCeremonies+id, 0)}, Then: []store.Op{put(keyCeremonies+id, c)}}); err != nil {
		return Ceremony{}, fmt.Errorf("keep passkey challenge: %w", err)
	}
	return Ceremony{ID: id, Options: raw}, nil
}

func (s *Service) openCeremony(ctx context.Context, id, handle, session string) (ceremonyRecord, int64, error) {
	c, rev, err := load[ceremonyRecord](ctx, s.db, keyCeremonies+id)
	if err != nil {
		return c, 0, err
	}
	if rev == 0 || s.clock() >= c.ExpiresAt || c.Handle != handle || c.Session != session {
		return c, 0, refuse(CodeBadPasskey, "This took longer than five minutes, or was done twice. Try again.")
	}
	return c, rev, nil
}

// BeginRegistration begins adding a passkey to the actor's own account.
func (s *Service) BeginRegistration(ctx context.Context, by Actor, v Visit) (Ceremony, error) {
	if err := allow(by, ManageAccount, Subject{Handle: by.ID}); err != nil {
		return Ceremony{}, err
	}
	w, host, err := s.site.relyingParty(v.Origin)
	if err != nil {
		return Ceremony{}, err
	}
	person, rev, err := load[personRecord](ctx, s.db, keyPersons+by.ID)
	if err != nil {
		return Ceremony{}, err
	}
	if rev == 0 {
		return Ceremony{}, fmt.Errorf("begin passkey of %s: there is no account record", by.ID)
	}
	mine, _, err := s.passkeysOf(ctx, by.ID)
	if err != nil {
		return Ceremony{}, err
	}
	if len(mine) >= passkeysOfOne {
		return Ceremony{}, refuse(CodeInvalid, "You have %d passkeys. Remove one that you no longer use first.", len(mine))
	}
	k := keyholder{id: person.UserHandle, handle: by.ID, name: by.Name}
	var known []protocol.CredentialDescriptor
	for _, p := range mine {
		known = append(known, p.Credential.Descriptor())
	}
	options, data, err := w.BeginRegistration(k, webauthn.WithExclusions(known))
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin passkey of %s: %w", by.ID, err)
	}
	return s.keepCeremony(ctx, ceremonyRecord{Handle: by.ID, Session: by.SessionID, Host: host, Data: *data}, options)
}

// FinishRegistration checks what the authenticator made and keeps it. The event
// is appended first: the log may name a passkey that the store then failed to
// keep, never the other way round.
func (s *Service) FinishRegistration(ctx context.Context, by Actor, ceremony, name string, response []byte, v Visit) (Passkey, error) {
	if err := allow(by, ManageAccount, Subject{Handle: by.ID}); err != nil {
		return Passkey{}, err
	}
	if name = shorten(name, nameMost); name == "" {
		name = "Passkey"
	}
	w, host, err := s.site.relyingParty(v.Origin)
	if err != nil {
		return Passkey{}, err
	}
	c, rev, err := s.openCeremony(ctx, ceremony, by.ID, by.SessionID)
	if err != nil {
		return Passkey{}, err
	}
	bad := refuse(CodeBadPasskey, "The passkey could not be checked. Try again, or use another device.")
	if c.Host != host || len(response) > responseMost {
		return Passkey{}, bad
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Passkey{}, bad
	}
	credential, err := w.CreateCredential(keyholder{id: c.Data.UserID, handle: by.ID}, c.Data, parsed)
	if err != nil {
		return Passkey{}, bad
	}
	id, now := passkeyID(credential.ID), s.clock()
	if _, there, err := load[passkeyRecord](ctx, s.db, keyPasskeys+id); err != nil || there != 0 {
		if err == nil {
			err = refuse(CodeBadPasskey, "This passkey is known already. Choose another one.")
		}
		return Passkey{}, err
	}
	if err := s.record(ctx, by, PasskeyAdded, stamp{at: now, id: s.onceID("passkey", ceremony)}, once(Fact{Handle: by.ID, ID: id, Name: name})); err != nil {
		return Passkey{}, err
	}
	r := passkeyRecord{Handle: by.ID, Host: host, Name: name, Credential: *credential, CreatedAt: now}
	err = s.settle(ctx, store.Txn{
		If:   []store.Cond{cond(keyCeremonies+ceremony, rev), cond(keyPasskeys+id, 0)},
		Then: []store.Op{remove(keyCeremonies + ceremony), put(keyPasskeys+id, r)},
	}, func(ctx context.Context) (bool, error) {
		_, rev, err := load[passkeyRecord](ctx, s.db, keyPasskeys+id)
		return rev != 0, err
	})
	if errors.Is(err, store.ErrConflict) {
		return Passkey{}, bad
	}
	if err != nil {
		return Passkey{}, fmt.Errorf("keep passkey %s of %s: %w", id, by.ID, err)
	}
	return r.view(id), nil
}

func (r passkeyRecord) view(id string) Passkey {
	return Passkey{ID: id, Name: r.Name, CreatedAt: r.CreatedAt, UsedAt: r.UsedAt,
		Synced: r.Credential.Flags.BackupEligible, Suspected: r.Credential.Authenticator.CloneWarning}
}

// passkeysOf returns the records that count: not those from before the person
// was removed and came back.
func (s *Service) passkeysOf(ctx context.Context, handle string) ([]passkeyRecord, []string, error) {
	ids, all, _, err := loadAll[passkeyRecord](ctx, s.db, keyPasskeys)
	if err != nil {
		return nil, nil, err
	}
	p, _ := s.dir.Person(handle)
	var mine []passkeyRecord
	var mineIDs []string
	for i, r := range all {
		if r.Handle == handle && r.CreatedAt >= p.JoinedAt {
			mine, mineIDs = append(mine, r), append(mineIDs, ids[i])
		}
	}
	return mine, mineIDs, nil
}

// Passkeys lists the passkeys of a person, oldest first.
func (s *Service) Passkeys(ctx context.Context, handle string) ([]Passkey, error) {
	records, ids, err := s.passkeysOf(ctx, handle)
	if err != nil {
		return nil, err
	}
	list := make([]Passkey, len(records))
	for i, r := range records {
		list[i] = r.view(ids[i])
	}
	slices.SortFunc(list, func(a, b Passkey) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// RemovePasskey removes a passkey: one's own, unless it is the last way in, or
// anybody's for administrators. The event comes first, as with adding.
func (s *Service) RemovePasskey(ctx context.Context, by Actor, handle, id string) error {
	if !s.mayManage(by, handle) {
		return allow(by, ManagePeople, Subject{})
	}
	list, err := s.Passkeys(ctx, handle)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(p Passkey) bool { return p.ID == id })
	if at < 0 {
		return refuse(CodeUnknown, "There is no such passkey any more. Reload the list.")
	}
	if len(list) == 1 && by.Kind == KindPerson && by.ID == handle {
		left, err := s.RecoveryCodesLeft(ctx, handle)
		if err != nil {
			return err
		}
		if left == 0 {
			return refuse(CodeLastWayIn, "This is your last way to sign in. Add another passkey or make recovery codes first.")
		}
	}
	if err := s.record(ctx, by, PasskeyRemoved, stamp{at: s.clock()}, once(Fact{Handle: handle, ID: id, Name: list[at].Name})); err != nil {
		return err
	}
	return s.removeAll(ctx, []string{keyPasskeys + id})
}
