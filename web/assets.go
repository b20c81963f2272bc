package web

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// dist is what the bundler made from web/assets/src. A binary built without it
// answers, but its pages are bare; Built tells.
//
//go:embed all:assets/dist
var dist embed.FS

// Built is true when the binary carries its styles and scripts.
func Built() bool {
	_, err := fs.Stat(dist, "assets/dist/app.js")
	return err == nil
}

var mimes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".woff2": "font/woff2",
	".png": "image/png", ".json": "application/json", ".webmanifest": "application/manifest+json",
}

func (s *Server) asset(c *call) error { return s.file(c, c.Param("*")) }

func (s *Server) favicon(c *call) error { return s.file(c, "favicon.svg") }

func (s *Server) file(c *call, name string) error {
	clean := path.Clean("/" + name)
	b, err := fs.ReadFile(dist, "assets/dist"+clean)
	mime, known := mimes[path.Ext(clean)]
	if err != nil || !known {
		return errNoPage
	}
	h := c.Response().Header()
	h.Set("Content-Type", mime)
	// Pages name assets with ?v=build; fonts never change under their name.
	if c.QueryParam("v") == s.Version && s.Version != "dev" || strings.HasSuffix(clean, ".woff2") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	h.Set("ETag", `"`+shortID("asset", string(b))+`"`)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(b))
	return nil
}
