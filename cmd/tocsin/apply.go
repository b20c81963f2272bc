package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// server is a running Tocsin that settings are read from and applied to.
type server struct {
	Server string `help:"Address of a running server." default:"http://127.0.0.1:8080" placeholder:"URL" env:"TOCSIN_SERVER"`
	Token  string `help:"API token of an administrator." placeholder:"TOKEN" env:"TOCSIN_TOKEN"`
}

type apply struct {
	server
	File   []string `short:"f" help:"File with settings as YAML; - is standard input. May be given again." required:"" placeholder:"FILE"`
	DryRun bool     `help:"Say what would change, and change nothing."`
}

// mostSettings is how much of a file or an answer is read, in bytes.
const mostSettings = 16 << 20

// Run applies the files: what is named in them is created or changed, what is not named stays. Applying again changes nothing.
func (a apply) Run(ctx context.Context, io streams) error {
	var want settingsFile
	for _, name := range a.File {
		raw, err := readSettings(name, io.in)
		if err != nil {
			return err
		}
		one, err := parseSettings(name, raw)
		if err != nil {
			return err
		}
		want.add(one)
	}
	now, err := a.settings(ctx)
	if err != nil {
		return err
	}
	p := &applying{now: now, tell: func(what, name, done string) {
		if a.DryRun && done != "unchanged" {
			done = "would be " + done
		}
		fmt.Fprintf(io.out, "%s %s %s\n", what, name, done)
	}}
	if !a.DryRun {
		p.do = func(c oncall.Command) error { return a.command(ctx, c) }
		p.again = func() (oncall.Settings, error) { return a.settings(ctx) }
	}
	return p.apply(want)
}

func readSettings(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, mostSettings+1))
	if err == nil && len(raw) > mostSettings {
		err = fmt.Errorf("%s is larger than %d MiB", name, mostSettings>>20)
	}
	return raw, err
}

// settings asks the server for the on-call settings.
func (s server) settings(ctx context.Context) (oncall.Settings, error) {
	var out oncall.Settings
	return out, s.call(ctx, http.MethodGet, "/api/v1/oncall", nil, &out)
}

func (s server) command(ctx context.Context, c oncall.Command) error {
	args, err := json.Marshal(c)
	if err != nil {
		return err
	}
	body := map[string]any{"id": uuid.Must(uuid.NewV7()).String(), "command": c.Name(), "args": json.RawMessage(args)}
	return s.call(ctx, http.MethodPost, "/api/v1/oncall/commands", body, nil)
}

// call sends one request. The token goes to no other host: redirects are not followed.
func (s server) call(ctx context.Context, method, path string, body, into any) error {
	base, err := url.Parse(s.Server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return fmt.Errorf("%q is no address of a server; give one like --server https://tocsin.example", s.Server)
	}
	if s.Token == "" {
		return errors.New("an API token is needed; make one under Tokens and give it with --token or TOCSIN_TOKEN")
	}
	var raw []byte
	if body != nil {
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.Server, "/")+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("ask the server: %w; does it run at %s?", err, s.Server)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, mostSettings))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", s.Server, err)
	}
	if res.StatusCode/100 != 2 {
		var problem struct{ Detail string }
		if json.Unmarshal(answer, &problem) == nil && problem.Detail != "" {
			return errors.New(problem.Detail)
		}
		return fmt.Errorf("%s answered %s to %s; is it a Tocsin of this version?", s.Server, res.Status, path)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", s.Server, err)
	}
	return nil
}
