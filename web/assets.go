package web

import (
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
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

// File is a file of dist by its name, as it is; ok is false when there is none.
func File(name string) (mime string, body []byte, ok bool) {
	mime, known := mimes[path.Ext(name)]
	if !known {
		return "", nil, false
	}
	body, err := fs.ReadFile(dist, path.Join("assets/dist", path.Clean("/"+name)))
	return mime, body, err == nil
}

var mimes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".woff2": "font/woff2",
	".png": "image/png", ".json": "application/json", ".webmanifest": "application/manifest+json",
}

// assets are the files of dist as they are answered, each in the forms that
// make it shorter. They are packed once in a process, when the first is asked for.
type assets struct {
	kind    *kind
	version string // query of an address that names this build; "" = none does
	kept    func() map[string]*codings
	now     func() map[string]*codings // for addresses that do not name the build: ask each time
}

const (
	cacheForEver = "public, max-age=31536000, immutable"
	cacheAndAsk  = "no-cache"
)

func newAssets(s *Server) *assets {
	a := &assets{kind: &kind{name: "/assets/", route: "/assets/*"}}
	if s.Version != "dev" {
		a.version = "v=" + url.QueryEscape(s.Version)
	}
	with := func(cache string) func() map[string]*codings {
		return sync.OnceValue(func() map[string]*codings {
			out := map[string]*codings{}
			for name, f := range packedFiles() {
				fields := append(slices.Clone(safety), newField("Content-Type", f.mime), newField("Cache-Control", cache))
				if s.outsideTLS() {
					fields = append(fields, strict)
				}
				if f.gzip == nil {
					out[name] = &codings{plain: newEncoded("", f.plain, fields)}
					continue
				}
				out[name] = &codings{plain: newEncoded("", f.plain, fields), gzip: newEncoded("gzip", f.gzip, fields), br: newEncoded("br", f.br, fields)}
			}
			return out
		})
	}
	a.kept, a.now = with(cacheForEver), with(cacheAndAsk)
	return a
}

// find is what an address names; nil when it is nothing that fast answers.
func (a *assets) find(r *http.Request) (*kind, *codings) {
	name, ok := strings.CutPrefix(r.URL.Path, a.kind.name)
	if !ok {
		return nil, nil
	}
	return a.kind, a.named(name, a.version != "" && r.URL.RawQuery == a.version)
}

// named is a file by its name below dist; build says that its address names this build.
func (a *assets) named(name string, build bool) *codings {
	if build || strings.HasSuffix(name, ".woff2") { // fonts never change under their name
		return a.kept()[name]
	}
	return a.now()[name]
}

type packedFile struct {
	mime            string
	plain, gzip, br []byte // gzip and br nil where packing does not help
}

// packedFiles reads dist.
var packedFiles = sync.OnceValue(func() map[string]packedFile {
	out := map[string]packedFile{}
	_ = fs.WalkDir(dist, "assets/dist", func(name string, e fs.DirEntry, err error) error {
		mime, known := mimes[path.Ext(name)]
		if err != nil || e.IsDir() || !known {
			return err
		}
		f := packedFile{mime: mime}
		if f.plain, err = fs.ReadFile(dist, name); err != nil {
			return err
		}
		if !strings.HasPrefix(mime, "font/") && !strings.HasPrefix(mime, "image/png") {
			f.gzip, f.br = gzipped(f.plain), brotlied(f.plain, 9)
		}
		out[strings.TrimPrefix(name, "assets/dist/")] = f
		return nil
	})
	return out
})

func (s *Server) asset(c *call) error { return s.file(c, c.Param("*")) }

func (s *Server) favicon(c *call) error { return s.file(c, "favicon.svg") }

// file answers the long way what fast answers too.
func (s *Server) file(c *call, name string) error {
	found := s.assets.named(strings.TrimPrefix(path.Clean("/"+name), "/"), c.QueryParam("v") == s.Version && s.Version != "dev")
	if found == nil {
		return errNoPage
	}
	if found.answer(c.Response(), c.Request()) == 0 {
		return errNoCoding
	}
	return nil
}
