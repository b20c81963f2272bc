package web

import (
	"net/http"
	"strings"
	"time"
)

// safety is set on every answer.
var safety = []field{
	newField("Content-Security-Policy", policy),
	newField("X-Content-Type-Options", "nosniff"),
	newField("Referrer-Policy", "same-origin"),
	newField("Cross-Origin-Opener-Policy", "same-origin"),
	newField("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
}

// strict tells browsers to come by TLS only; it is set where they came so, or
// where the public address says so.
var strict = newField("Strict-Transport-Security", "max-age=31536000")

func (s *Server) outsideTLS() bool { return strings.HasPrefix(s.PublicURL, "https://") }

// fast answers what is kept in memory for everybody, past routing and
// middleware: the public status documents and the assets. Whoever asks is nobody
// here: credentials are not looked at, and the answer is the same with them. The
// same documents are registered as routes, which answer whatever is unusual
// (methods, bodies, forms that we do not have), so fast may decline anything:
// false says that nothing was written.
func (s *Server) fast(w http.ResponseWriter, r *http.Request) bool {
	head := 0
	switch r.Method {
	case http.MethodGet:
	case http.MethodHead:
		head = 1
	default:
		return false
	}
	if r.Body != nil && r.Body != http.NoBody {
		return false
	}
	var c *codings
	k := s.status.paths[r.URL.Path]
	if k != nil {
		d, err := s.status.document(s.status.key(k, r))
		if err != nil {
			return false // the route says so
		}
		c = &d.codings
	} else if k, c = s.assets.find(r); c == nil {
		return false
	}
	// Whoever does not read holds nothing of ours for long. It must be set even
	// for small answers: an earlier answer on this connection left its own.
	if t, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = t.SetWriteDeadline(time.Now().Add(bodyWait))
	}
	if r.TLS != nil {
		w.Header()[strict.name] = strict.value
	}
	status := c.answer(w, r)
	switch status {
	case 0:
		return false
	case http.StatusOK:
		k.seen[head][0].Add(1)
	default:
		k.seen[head][1].Add(1)
	}
	return true
}

// fastCounts gives what fast has answered, for the table of answers.
func (s *Server) fastCounts(each func(method, route string, status int, n int64)) {
	kinds := []*kind{s.assets.kind}
	for _, k := range s.status.paths {
		kinds = append(kinds, k)
	}
	for _, k := range kinds {
		for m, method := range []string{http.MethodGet, http.MethodHead} {
			for i, status := range []int{http.StatusOK, http.StatusNotModified} {
				if n := k.seen[m][i].Load(); n > 0 {
					each(method, k.route, status, n)
				}
			}
		}
	}
}
