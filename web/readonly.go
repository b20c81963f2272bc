package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/views"
)

// Health is what this replica can do at this moment.
type Health struct {
	ReadOnly bool   // the store takes no writes: pages are shown, nothing is changed
	Since    int64  // unix ms of the last time it did; what is shown was durable then
	Replica  string // name of this replica, for operators
	Why      string // what failed, for operators; no page and no answer says it
}

// retryReadOnly is how soon whoever was refused may ask again, ms.
const retryReadOnly = 5000

// held is what pages say about it.
func (s *Server) held() views.ReadOnly {
	h := s.Health()
	if !h.ReadOnly {
		return views.ReadOnly{}
	}
	return views.ReadOnly{Since: max(h.Since, 1)}
}

// writable refuses while nothing can be written: at once and with certainty,
// instead of after a wait and without.
func (s *Server) writable() error {
	h := s.Health()
	if !h.ReadOnly {
		return nil
	}
	return &auth.Refusal{
		Code: codeReadOnly, RetryAfter: retryReadOnly,
		Sentence: "Nothing can be saved since " + time.UnixMilli(h.Since).UTC().Format("15:04") + " UTC: the store does not answer a majority. This was not carried out. Send it again in a moment.",
	}
}

const codeReadOnly = "read_only"

// changing reports whether a request is one that writes. A query of figures may
// be a POST, and opening a wall by its address makes a session.
func changing(method, path string, action auth.Action) bool {
	if method == http.MethodGet || method == http.MethodHead {
		return path == "/wall/:token" || action == auth.TakeBackup // both stand in the log
	}
	return action == "" || action.Changes()
}

// lookBack lets whatever only shows be answered from what was durable when the
// store lost its majority; pages say so. Who asks is found out that way too.
func (s *Server) lookBack(ec echo.Context, changes bool) {
	if r := ec.Request(); !changes || s.Health().ReadOnly {
		ctx := store.AllowStale(r.Context())
		ec.SetRequest(r.WithContext(ctx))
		ec.Response().Before(func() {
			if store.AnsweredStale(ctx) {
				ec.Response().Header().Set(headerStale, "true")
			}
		})
	}
}

// headerStale says that an answer was made of what this replica could reach: it
// may lack what another one has acknowledged since.
const headerStale = "Tocsin-Stale"

// sentAgain is the form of a refused request, so that nothing typed is lost;
// nil when it was no form of a page.
func sentAgain(r *http.Request) *views.Again {
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || r.PostForm == nil && r.ParseForm() != nil {
		return nil
	}
	a := &views.Again{Action: local(r.URL.Path)}
	for _, name := range sortedKeys(r.PostForm) {
		for _, v := range r.PostForm[name] {
			a.Fields = append(a.Fields, views.SentField{Name: name, Value: v, Shown: !strings.HasPrefix(name, "_") && !slices.Contains([]string{"code", "txn", "id", "next"}, name)})
		}
	}
	return a
}

// public reports whether an address belongs to the public status page, which
// tells nothing of what goes on inside.
func public(path string) bool {
	return path == "/status" || strings.HasPrefix(path, "/status/") || strings.HasPrefix(path, "/api/v2/")
}

func (s *Server) healthz(c *call) error { return c.String(http.StatusOK, "ok\n") }

// readyz says whether requests may be sent here. A replica that can only show is
// ready: it is better than none. Who routes writes asks with write=1.
func (s *Server) readyz(c *call) error {
	if !s.Ready() {
		return refusal("unavailable", "The server is starting or stopping. Try again in a moment.")
	}
	held := s.Health().ReadOnly
	code := http.StatusOK
	if held && c.QueryParam("write") != "" {
		code = http.StatusServiceUnavailable
		c.Response().Header().Set("Retry-After", itoa(retryReadOnly/1000))
	}
	return c.JSON(code, struct {
		Ready    bool `json:"ready"`
		ReadOnly bool `json:"read_only"`
	}{true, held})
}
