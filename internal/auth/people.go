package auth

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	handleMost   = 32
	audienceMost = 40
	nameMost     = 80 // characters
)

// checkHandle says what is wrong with a handle, as a sentence.
func checkHandle(h string) error {
	ok := h != "" && len(h) <= handleMost && h[0] >= 'a' && h[0] <= 'z'
	for i := 0; ok && i < len(h); i++ {
		c := h[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || (c == '-' || c == '_' || c == '.') && i < len(h)-1
	}
	if !ok {
		return refuse(CodeInvalid, "A handle begins with a letter and has up to %d lower-case letters, digits, dots or dashes, like ana or ana.b.", handleMost)
	}
	return nil
}

func checkAudience(role Role, a string) error {
	if role != RoleStakeholder {
		if a != "" {
			return refuse(CodeInvalid, "Only stakeholders have an audience. Leave it empty for this role.")
		}
		return nil
	}
	ok := len(a) <= audienceMost
	for i := 0; ok && i < len(a); i++ {
		c := a[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0 && i < len(a)-1
	}
	if !ok {
		return refuse(CodeInvalid, "An audience has up to %d lower-case letters, digits and dashes, like exchanges.", audienceMost)
	}
	return nil
}

func checkRole(role Role, audience string) error {
	switch role {
	case RoleAdministrator, RoleResponder, RoleStakeholder:
		return checkAudience(role, audience)
	}
	return refuse(CodeInvalid, "The role is administrator, responder or stakeholder.")
}

// cleanName trims a name for display and refuses what cannot be one line of text.
func cleanName(what, name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > nameMost ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return "", refuse(CodeInvalid, "Give %s a name of one line, at most %d characters.", what, nameMost)
	}
	return name, nil
}

// shorten makes outside text fit to be kept: one line, at most so many characters.
func shorten(text string, most int) string {
	var b strings.Builder
	for _, r := range text {
		if most--; most < 0 {
			break
		}
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// member returns a person who has joined or is invited.
func (s *Service) member(handle string) (Person, error) {
	p, ok := s.dir.Person(handle)
	if !ok || p.Standing != Joined && p.Standing != Invited {
		return p, refuse(CodeUnknownPerson, "There is nobody with the handle %s. Check the list of people.", shorten(handle, handleMost))
	}
	return p, nil
}

// lastAdmin refuses to leave the room without an administrator.
func (s *Service) lastAdmin(p Person) error {
	if p.Standing == Joined && p.Role == RoleAdministrator && s.dir.now.Load().admins <= 1 {
		return refuse(CodeLastAdmin, "%s is the last administrator. Make somebody else administrator first.", p.Name)
	}
	return nil
}

// ChangeRole gives a person another role. Only administrators may. The person's
// sockets close and come back with the new rights. The last administrator keeps
// the role; nothing is recorded when nothing changes.
func (s *Service) ChangeRole(ctx context.Context, by Actor, handle string, role Role, audience string) error {
	if err := allow(by, ManagePeople, Subject{}); err != nil {
		return err
	}
	if err := checkRole(role, audience); err != nil {
		return err
	}
	return s.record(ctx, by, PersonRoleChanged, stamp{at: s.clock()}, func() (Fact, bool, error) {
		p, err := s.member(handle)
		if err != nil || p.Role == role && p.Audience == audience {
			return Fact{}, true, err
		}
		if role != RoleAdministrator {
			err = s.lastAdmin(p)
		}
		return Fact{Handle: handle, Role: role, Audience: audience}, false, err
	})
}

// Rename changes the display name: one's own, or anybody's for administrators.
func (s *Service) Rename(ctx context.Context, by Actor, handle, name string) error {
	if !s.mayManage(by, handle) {
		return allow(by, ManagePeople, Subject{})
	}
	name, err := cleanName("the person", name)
	if err != nil {
		return err
	}
	return s.record(ctx, by, PersonRenamed, stamp{at: s.clock()}, func() (Fact, bool, error) {
		p, err := s.member(handle)
		return Fact{Handle: handle, Name: name}, err != nil || p.Name == name, err
	})
}

// Remove ends the membership of a person: the log first, which by itself ends
// every right, then sessions, passkeys and recovery codes. The handle stays
// theirs in the record. The last administrator cannot be removed.
func (s *Service) Remove(ctx context.Context, by Actor, handle string) error {
	if err := allow(by, ManagePeople, Subject{}); err != nil {
		return err
	}
	if err := s.record(ctx, by, PersonRemoved, stamp{at: s.clock()}, func() (Fact, bool, error) {
		p, err := s.member(handle)
		if err == nil {
			err = s.lastAdmin(p)
		}
		return Fact{Handle: handle}, false, err
	}); err != nil {
		return err
	}
	return s.forget(ctx, handle)
}

// forget removes every secret of a person.
func (s *Service) forget(ctx context.Context, handle string) error {
	gone := []string{keyPersons + handle}
	ids, sessions, _, err := loadAll[sessionRecord](ctx, s.db, keySessions)
	if err != nil {
		return err
	}
	for i, r := range sessions {
		if r.Kind == KindPerson && r.Owner == handle {
			gone = append(gone, keySessions+ids[i])
		}
	}
	ids, passkeys, _, err := loadAll[passkeyRecord](ctx, s.db, keyPasskeys)
	if err != nil {
		return err
	}
	for i, r := range passkeys {
		if r.Handle == handle {
			gone = append(gone, keyPasskeys+ids[i])
		}
	}
	ids, links, _, err := loadAll[linkRecord](ctx, s.db, keyLinks)
	if err != nil {
		return err
	}
	for i, r := range links {
		if r.Handle == handle && r.Kind != linkFirst {
			gone = append(gone, keyLinks+ids[i])
		}
	}
	if err := s.removeAll(ctx, gone); err != nil {
		return fmt.Errorf("forget the secrets of %s: %w", handle, err)
	}
	return nil
}
