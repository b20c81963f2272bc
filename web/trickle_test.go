package web

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
)

// TestRightsEndWhileTheBodyComes: who sends a body slowly and loses the right
// meanwhile is refused, on every kind of body and route that changes something.
func TestRightsEndWhileTheBodyComes(t *testing.T) {
	defer func(d time.Duration) { askAgain = d }(askAgain)
	askAgain = 0
	h := newHouse(t)
	for i, c := range []struct{ path, kind, body string }{
		{"/tokens", "application/x-www-form-urlencoded", "name=backdoor&scope=administrator"},
		{"/api/v1/incidents", "application/json", `{"title":"not by a revoked token","severity":"SEV1"}`},
		{"/api/v1/sources", "application/json", `{"name":"backdoor","kind":"generic"}`},
	} {
		robot, id := h.token(auth.RoleAdministrator, "")
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.srv.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			c.path, strings.TrimPrefix(h.srv.URL, "http://"), robot.bearer, c.kind, len(c.body))
		answers := bufio.NewReader(conn)
		first, err := http.ReadResponse(answers, nil) // the server wants the body: the sender was judged once
		if err != nil || first.StatusCode != http.StatusContinue {
			t.Fatalf("%d: %v %v", i, first, err)
		}
		before := h.Log.Size()
		if err := h.Auth.RevokeToken(t.Context(), h.admin, id); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, c.body)
		last, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if last.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s after the token was revoked: %d", c.path, last.StatusCode)
		}
		if grew := h.Log.Size() - before; grew != 1 { // the revocation itself
			t.Errorf("%s after the token was revoked: %d events", c.path, grew)
		}
	}
}
