package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
)

// field is one header as it is put into an answer: the value is shared by all
// answers and never changed.
type field struct {
	name  string // canonical
	value []string
}

func newField(name, value string) field {
	return field{http.CanonicalHeaderKey(name), []string{value}}
}

// codings are the forms of one document, each with its own strong validator.
type codings struct {
	plain    *encoded
	gzip, br *encoded // nil where there is none
}

// encoded is one form with everything that an answer needs.
type encoded struct {
	body []byte
	tag  string  // strong: of these bytes
	full []field // headers of a 200
	same []field // headers of a 304 (RFC 9110, 15.4.5)
}

func newCodings(body []byte, fields []field) codings {
	return codings{plain: newEncoded("", body, fields), gzip: gzipOf(body, fields)}
}

func newEncoded(coding string, body []byte, fields []field) *encoded {
	sum := sha256.Sum256(body)
	e := &encoded{body: body, tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`}
	e.full = append(slices.Clone(fields), newField("ETag", e.tag), newField("Vary", "Accept-Encoding"))
	for _, f := range e.full {
		if f.name != "Content-Type" {
			e.same = append(e.same, f)
		}
	}
	e.full = append(e.full, newField("Content-Length", strconv.Itoa(len(body))))
	if coding != "" {
		e.full = append(e.full, newField("Content-Encoding", coding))
	}
	return e
}

func gzipOf(body []byte, fields []field) *encoded {
	return newEncoded("gzip", gzipped(body), fields)
}

// brotliOf takes about a millisecond for each KiB.
func brotliOf(body []byte, fields []field) *encoded {
	return newEncoded("br", brotlied(body, brotli.BestCompression), fields)
}

// gzipped and brotlied write into a Buffer, which takes everything.
func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func brotlied(b []byte, level int) []byte {
	var out bytes.Buffer
	w := brotli.NewWriterLevel(&out, level)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func (c *codings) size() (n int) {
	for _, e := range []*encoded{c.plain, c.gzip, c.br} {
		if e != nil {
			n += len(e.body)
		}
	}
	return n
}

// answer writes the form that the request prefers, without its body for HEAD, or
// 304 when the request names a form that is still true. 0 says that it takes none
// of them, and nothing was written. It allocates nothing that grows with the body.
func (c *codings) answer(w http.ResponseWriter, r *http.Request) int {
	if asked := r.Header["If-None-Match"]; len(asked) > 0 {
		if e := c.named(asked); e != nil {
			put(w.Header(), e.same)
			w.WriteHeader(http.StatusNotModified)
			return http.StatusNotModified
		}
	}
	e := c.choose(r.Header["Accept-Encoding"])
	if e == nil {
		return 0
	}
	put(w.Header(), e.full)
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(e.body) // who has gone is told nothing
	}
	return http.StatusOK
}

func put(h http.Header, fields []field) {
	for _, f := range fields {
		h[f.name] = f.value
	}
}

// named finds the form that If-None-Match names, by weak comparison (RFC 9110,
// 13.1.2): a cache between us may have weakened the tag.
func (c *codings) named(lines []string) *encoded {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, ",") { // our tags hold no comma
			tag = strings.Trim(tag, " \t")
			if tag == "*" {
				return c.plain
			}
			tag = strings.TrimPrefix(tag, "W/")
			for _, e := range [...]*encoded{c.br, c.gzip, c.plain} {
				if e != nil && e.tag == tag {
					return e
				}
			}
		}
	}
	return nil
}

// choose takes the form with the highest weight, of equal ones the shortest.
func (c *codings) choose(lines []string) *encoded {
	if len(lines) == 0 {
		return c.plain
	}
	w := accepted(lines)
	var best *encoded
	most := 0
	for _, o := range [...]struct {
		e *encoded
		q int
	}{{c.br, w.br}, {c.gzip, w.gzip}, {c.plain, w.identity}} {
		if o.e != nil && o.q > 0 && (o.q > most || o.q == most && len(o.e.body) < len(best.body)) {
			best, most = o.e, o.q
		}
	}
	return best
}

// weights are quality values in thousandths; 0 = not acceptable.
type weights struct{ br, gzip, identity int }

// accepted reads Accept-Encoding (RFC 9110, 12.5.3). What is not named weighs
// what * does; identity that nothing speaks of is the last resort.
func accepted(lines []string) weights {
	const unsaid = -1
	w, star := weights{unsaid, unsaid, unsaid}, unsaid
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			q := quality(params)
			switch name = strings.Trim(name, " \t"); {
			case strings.EqualFold(name, "br"):
				w.br = q
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
				w.gzip = q
			case strings.EqualFold(name, "identity"):
				w.identity = q
			case name == "*":
				star = q
			}
		}
	}
	if w.br == unsaid {
		w.br = max(star, 0)
	}
	if w.gzip == unsaid {
		w.gzip = max(star, 0)
	}
	if w.identity == unsaid {
		w.identity = star
		if star == unsaid {
			w.identity = 1
		}
	}
	return w
}

// quality reads the weight of "q=0.5"; without one it is 1000, unreadable it is 0.
func quality(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(p, "=")
		if !ok || !strings.EqualFold(strings.Trim(name, " \t"), "q") {
			continue
		}
		value = strings.Trim(value, " \t")
		whole, fraction, _ := strings.Cut(value, ".")
		if len(fraction) > 3 || whole != "0" && whole != "1" {
			return 0
		}
		q := 0
		for i := range 3 {
			q *= 10
			if i < len(fraction) {
				if fraction[i] < '0' || fraction[i] > '9' {
					return 0
				}
				q += int(fraction[i] - '0')
			}
		}
		if whole == "1" {
			return 1000 // 1.5 means nothing more
		}
		return q
	}
	return 1000
}
