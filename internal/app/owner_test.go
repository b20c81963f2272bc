package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
)

func TestOwnerLinkSignsInTheSamePersonAfterARestart(t *testing.T) {
	dir := t.TempDir()
	for start, form := range []url.Values{{"handle": {"ana"}, "name": {"Ana"}}, {}, {}} {
		a, stop := running(t, dir)
		link, err := a.OwnerLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(link, "http://127.0.0.1:") {
			t.Fatalf("start %d: the link is %.25s…, want the loopback address by number", start, link)
		}
		jar, _ := cookiejar.New(nil)
		browser := &http.Client{Jar: jar}
		r, err := browser.PostForm(link, form)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		home := "/" // of somebody who knows the house
		if start == 0 {
			home = "/me"
		}
		if r.Request.URL.Path != home || !strings.Contains(string(body), "ana") {
			t.Fatalf("start %d: signed in at %s (%d), want %s of ana", start, r.Request.URL.Path, r.StatusCode, home)
		}
		if r, err = (&http.Client{}).PostForm(link, form); err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode < 400 {
			t.Fatalf("start %d: a link used twice answers %d", start, r.StatusCode)
		}
		stop()
	}
}

// running starts an App on a free port and returns it with its clean stop.
func running(t *testing.T, dir string) (*app.App, func()) {
	t.Helper()
	c := config.Default()
	c.Addr, c.Data = "127.0.0.1:0", dir
	ctx, cancel := context.WithCancel(t.Context())
	a, err := app.New(ctx, app.Options{Config: c, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	if err := a.WaitReady(ctx, time.Minute); err != nil {
		cancel()
		t.Fatal(err)
	}
	return a, func() {
		t.Helper()
		cancel()
		if err := <-ran; err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
}
