package desk

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAttentionOfTwo: when another person signs in while the stream of the first still runs, nothing of the first is shown from then on, and what was
// shown is taken back; and however fast a hostile room talks, the window is not flooded.
func TestAttentionOfTwo(t *testing.T) {
	var pages atomic.Int64
	step := make(chan struct{})
	room := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		who := ""
		if k, err := r.Cookie("tocsin_session"); err == nil {
			who = k.Value
		}
		if as, ok := strings.CutPrefix(r.URL.Path, "/as/"); ok {
			who = as
			http.SetCookie(w, &http.Cookie{Name: "tocsin_session", Value: who, Path: "/", MaxAge: 3600})
		}
		w.Header().Set("Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'")
		switch {
		case r.URL.Path == "/live":
			http.NotFound(w, r)
		case r.URL.Path == "/api/v1/me/attention":
			w.Header().Set("Content-Type", "application/x-ndjson")
			for i := 0; ; i++ {
				_, err := fmt.Fprintf(w, `{"at":1,"position":%d,"site":"S","handle":%q,"open":1,"incidents":[],"pages":[{"id":"%s-%d","incident":7,"title":"T","severity":"SEV1","reason":"R","paged_at":1}]}`+"\n", i, who, who, i)
				if err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				pages.Add(1)
				if who == "ana" {
					select {
					case <-step:
					case <-r.Context().Done():
						return
					}
				}
			}
		case strings.HasPrefix(r.URL.Path, "/api/"):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"incidents":[]}`)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!DOCTYPE html><html><head><title>A · Tocsin</title><meta name="now" content="1"></head><body data-handle="%s">I am %s</body></html>`, who, who)
		}
	})
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	w.post("/.desk/join", url.Values{"address": {room.URL}})
	w.get("/as/ana").want(t, 200, "", "I am ana")
	h.shell.until(t, "ana's page is shown", h.shell.said("notify page/ana-0"))
	w.get("/as/ben").want(t, 200, "", "I am ben")
	close(step) // the stream of ana says more, if it is still there
	began, before := time.Now(), len(h.shell.told())
	h.shell.until(t, "what was shown of ana is taken back", h.shell.said("withdraw page/ana-0"))
	h.shell.until(t, "ben's page is shown", func(s *shell) bool {
		return strings.Contains(strings.Join(s.calls, "\n"), "notify page/ben-")
	})
	for _, c := range h.shell.told() {
		if strings.Contains(c, "ana-1") {
			t.Errorf("ben is told %q", c)
		}
	}
	time.Sleep(time.Second)
	shown := 0
	for _, c := range h.shell.told()[before:] {
		if strings.HasPrefix(c, "notify") {
			shown++
		}
	}
	if most := int(time.Since(began)/stateRest)*2 + 10; shown > most {
		t.Errorf("%d notices in %v", shown, time.Since(began))
	}
}
