//go:build desktop

package main

import (
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"runtime"

	"github.com/wailsapp/wails/v2"
	"github.com/wailsapp/wails/v2/pkg/logger"
	"github.com/wailsapp/wails/v2/pkg/options"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
	"github.com/wailsapp/wails/v2/pkg/options/linux"
	"github.com/wailsapp/wails/v2/pkg/options/mac"

	"github.com/tocsin-ops/tocsin/internal/desk"
)

// show opens the one window and returns when it is closed: by its user, by a signal to the program, or by Quit. Nothing is bound: the page in the window
// is a browser's page.
func (s *shell) show(was desk.WindowState, kiosk bool, started func(context.Context)) (err error) {
	defer func() {
		// Where there is no display Wails panics, on this thread and before anything else was begun.
		if p := recover(); p != nil {
			err = fmt.Errorf("open a window (is there a display?): %v", p)
		}
	}()
	o := &options.App{
		Title:  "Tocsin",
		Width:  width,
		Height: height,
		// The ground of the pages, so that nothing flashes white before they come.
		BackgroundColour:         options.NewRGB(13, 16, 21),
		AssetServer:              &assetserver.Options{Handler: http.HandlerFunc(s.index)},
		EnableDefaultContextMenu: true, // back, reload, copy and paste
		LogLevelProduction:       logger.ERROR,
		Linux:                    &linux.Options{ProgramName: entry, WebviewGpuPolicy: linux.WebviewGpuPolicyNever},
		Mac:                      &mac.Options{OnUrlOpen: func(link string) { go s.arrived(link) }},
		OnStartup:                started,
		OnDomReady:               s.pageCame,
	}
	if was.Width > 0 {
		o.Width, o.Height = was.Width, was.Height
	}
	switch {
	case kiosk || was.Fullscreen:
		o.WindowStartState = options.Fullscreen
	case was.Maximised:
		o.WindowStartState = options.Maximised
	}
	if runtime.GOOS != "linux" {
		o.MinWidth, o.MinHeight = minWidth, minHeight // there Wails takes today's screen for the largest one
	}
	return wails.Run(o)
}

// page is all that the window ever loads from inside the program. The front's first page takes its place; a sentence comes only when that takes long.
var page = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tocsin</title>
<style>:root{color-scheme:dark}body{margin:4rem auto;max-width:40rem;padding:0 1.5rem;background:#0d1015;color:#dde2ea;font:16px/1.5 sans-serif}
p{white-space:pre-wrap;overflow-wrap:anywhere}.wait{opacity:0;animation:come 0s 1.5s forwards}@keyframes come{to{opacity:1}}</style></head>
<body>{{if .}}<h1>Tocsin could not start</h1><p role="alert">{{.}}</p>{{else}}<p class="wait" role="status">Starting…</p>{{end}}</body></html>
`))

func (s *shell) index(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" && r.URL.Path != "/index.html" {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	trouble := s.trouble
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := page.Execute(w, trouble); err != nil {
		slog.Error("write the first page", "err", err)
	}
}
