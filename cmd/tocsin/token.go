package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

type token struct {
	Create tokenCreate `cmd:"" help:"Make an API token and print it once."`
	Link   tokenLink   `cmd:"" help:"Print a new sign-in link for somebody, or for the first administrator."`
}

type place struct {
	Data   string `help:"Data directory (default ./data)." type:"path" placeholder:"DIR"`
	Config string `help:"Configuration file." type:"path" placeholder:"FILE" env:"TOCSIN_CONFIG"`
	Store  string `help:"Shared store, etcd://…, instead of a data directory." placeholder:"STORE"`
}

// people opens the people of a stopped server, or of a shared store, whose
// replicas may run.
func (p place) people(ctx context.Context, io streams) (*auth.Service, config.Config, func(), error) {
	c, err := placed(p.Config, p.Data, p.Store, io)
	if err != nil {
		return nil, c, nil, err
	}
	var db store.DB
	if c.Store.Shared() {
		db, err = openStore(ctx, c.Store.Reveal(), logger(io.err, c.Level()))
	} else if db, err = bolt.Open(filepath.Join(c.Data, app.StoreFile), bolt.Options{}); err != nil {
		err = fmt.Errorf("%w\nWhile the server runs, tokens and links are made on its pages Tokens and People", err)
	}
	if err != nil {
		return nil, c, nil, err
	}
	var l *eventlog.Log
	if err = backup.Unfinished(ctx, db); err == nil {
		l, err = eventlog.Open(ctx, db, eventlog.Options{})
	}
	if err == nil {
		var s *auth.Service
		if s, err = auth.New(ctx, db, l, auth.Options{PublicURL: c.PublicURL, Logger: logger(io.err, c.Level())}); err == nil {
			return s, c, func() { _ = db.Close() }, nil
		}
	}
	_ = db.Close()
	return nil, c, nil, err
}

type tokenCreate struct {
	place
	Name     string `help:"What it is for." required:""`
	Role     string `help:"What it may do." enum:"administrator,responder,stakeholder" default:"responder"`
	Audience string `help:"Audience of a stakeholder."`
}

// Run makes the token.
func (t tokenCreate) Run(ctx context.Context, io streams) error {
	s, _, done, err := t.people(ctx, io)
	if err != nil {
		return err
	}
	defer done()
	_, secret, err := s.CreateToken(ctx, auth.SystemActor("operator"), auth.TokenOrder{Name: t.Name, Role: auth.Role(t.Role), Audience: t.Audience})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.out, secret)
	return err
}

type tokenLink struct {
	place
	Handle string `arg:"" optional:"" help:"Handle of the person; nothing for the first administrator."`
}

// Run prints the link.
func (t tokenLink) Run(ctx context.Context, io streams) error {
	s, c, done, err := t.people(ctx, io)
	if err != nil {
		return err
	}
	defer done()
	var link auth.Link
	if t.Handle == "" {
		var needed bool
		if link, needed, err = s.Bootstrap(ctx); err == nil && !needed {
			return fmt.Errorf("somebody has joined already; name the person: tocsin token link HANDLE")
		}
	} else {
		link, err = s.SignInLink(ctx, auth.SystemActor("operator"), strings.TrimPrefix(t.Handle, "@"))
	}
	if err != nil {
		return err
	}
	base := c.PublicURL
	if base == "" {
		base = app.LocalURL(c.Addr)
	}
	_, err = fmt.Fprintln(io.out, base+link.Path())
	return err
}
