//go:build desktop

package main

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/wailsapp/wails/v2"
	"github.com/wailsapp/wails/v2/pkg/logger"
	"github.com/wailsapp/wails/v2/pkg/options"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
	"github.com/wailsapp/wails/v2/pkg/options/linux"
	"github.com/wailsapp/wails/v2/pkg/runtime"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// show opens the one window and returns when it is closed: by its user, by a
// signal to the program, or because ended was closed. A nil ended never is.
// Nothing is bound: the page in the window is a browser's page.
func show(index http.Handler, ended <-chan struct{}) error {
	closed := make(chan struct{})
	defer close(closed)
	return wails.Run(&options.App{
		Title:     "Tocsin",
		Width:     1280,
		Height:    720,
		MinWidth:  390,
		MinHeight: 500,
		// The ground of the pages, so that nothing flashes white before they come.
		BackgroundColour:         options.NewRGB(13, 16, 21),
		AssetServer:              &assetserver.Options{Handler: index},
		EnableDefaultContextMenu: true, // back, reload, copy and paste
		LogLevelProduction:       logger.ERROR,
		Linux:                    &linux.Options{ProgramName: "tocsin", WebviewGpuPolicy: linux.WebviewGpuPolicyNever},
		OnStartup: func(ctx context.Context) {
			go func() {
				select {
				case <-ended:
					runtime.Quit(ctx)
				case <-closed:
				}
			}()
		},
	})
}

// page is all that the window ever loads from inside the program. A redirect by
// status code leaves WebKit with a blank window; see docs/decisions.
var page = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tocsin</title>
<style>body{margin:4rem auto;max-width:40rem;padding:0 1.5rem;background:#0d1015;color:#dde2ea;font:16px/1.5 sans-serif}
p{white-space:pre-wrap;overflow-wrap:anywhere}</style></head>
<body>{{if .Problem}}<h1>Tocsin could not start</h1><p>{{.Problem}}</p>{{else}}<script>location.replace({{.Link}})</script>{{end}}</body></html>
`))

type index struct{ Link, Problem string }

func (i index) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := page.Execute(w, i); err != nil {
		slog.Error("write the first page", "err", err)
	}
}

// entrance sends the window on to the room, signed in by a link of its own:
// loopback is open to every program of this machine, so the address alone lets
// nobody in.
func entrance(a *app.App) http.Handler {
	return only("/", func(w http.ResponseWriter, r *http.Request) {
		link, err := a.OwnerLink(r.Context())
		if err != nil {
			slog.Error("make the window's sign-in link", "err", err)
			index{Problem: err.Error()}.write(w)
			return
		}
		index{Link: link}.write(w)
	})
}

// refused says why there is no room. The reader is the operator.
func refused(err error) http.Handler {
	text := err.Error()
	if errors.Is(err, bolt.ErrLocked) {
		text = "It is open already. Use the other window, or close it first."
	}
	return only("/", func(w http.ResponseWriter, _ *http.Request) { index{Problem: text}.write(w) })
}

func only(path string, f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path && r.URL.Path != path+"index.html" {
			http.NotFound(w, r)
			return
		}
		f(w, r)
	})
}
