package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/auth"
)

// OwnerLink makes a fresh one-time sign-in link, good for 24 hours, for the
// person whose machine this is: of the administrators the one who joined first.
// While nobody has joined, it is a link to become that person, and SignInLink
// is void. It leads to the address that the App listens on, by number, so that
// no other program can stand behind the name; it is for a window of this very
// process, and never to be logged. That it was made is in the log.
func (a *App) OwnerLink(ctx context.Context) (string, error) {
	link, needed, err := a.auth.Bootstrap(ctx)
	if err == nil && !needed {
		link, err = a.ownersLink(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("make the owner's sign-in link: %w", err)
	}
	return "http://" + a.Addr() + link.Path(), nil
}

// Founded is true when somebody has joined: OwnerLink is then a link to sign in
// again, which asks nothing.
func (a *App) Founded() bool {
	return slices.ContainsFunc(a.auth.People(), func(p auth.Person) bool { return p.Standing != auth.Invited })
}

func (a *App) ownersLink(ctx context.Context) (auth.Link, error) {
	owners := slices.DeleteFunc(a.auth.People(), func(p auth.Person) bool {
		return p.Standing != auth.Joined || p.Role != auth.RoleAdministrator
	})
	if len(owners) == 0 {
		return auth.Link{}, errors.New("nobody is administrator")
	}
	first := slices.MinFunc(owners, func(p, q auth.Person) int { return cmp.Compare(p.JoinedAt, q.JoinedAt) })
	return a.auth.SignInLink(ctx, auth.SystemActor("desktop"), first.Handle)
}
