package web

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
)

var shownLink = regexp.MustCompile(`<code class="secret">([^<]+)</code>`)

// A person makes a link on their own page that signs the desktop app in, once.
func TestOwnLinkOnMyPage(t *testing.T) {
	h := newHouse(t)
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	sam.get("/me").want(200).has("Desktop app", "Make a sign-in link", `action="/me/link"`).hasNot("tocsin://")

	a := sam.post("/me/link").want(200).has("Sign-in link for another device of yours", "works once", "Make another")
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page with the link may be kept: %q", a.header.Get("Cache-Control"))
	}
	link := html.UnescapeString(shownLink.FindStringSubmatch(a.body)[1])
	if !strings.HasPrefix(link, h.srv.URL+"/join/") {
		t.Fatalf("the link is %s", link)
	}
	a.has(html.EscapeString("tocsin://join?link="+url.QueryEscape(link)), `data-copy="`+html.EscapeString(link)+`"`)
	sam.get("/me").want(200).hasNot(link, "/join/") // shown this once

	path := strings.TrimPrefix(link, h.srv.URL)
	fresh := h.nobody()
	fresh.get(path).want(200).has("This link signs you in once")
	in := fresh.post(path).want(http.StatusSeeOther).setCookie(cookieSession)
	app := h.visitor("desktop app")
	app.cookie = in.Value
	app.get("/me").want(200).has("@sam")
	h.nobody().post(path).want(410)
	h.settle()
	h.ana().get("/log?stream=people").want(200).has("signin_link.created").hasNot(strings.TrimPrefix(path, "/join/"))
	if text := h.slog.String(); strings.Contains(text, strings.TrimPrefix(path, "/join/")) {
		t.Error("the link is in the program's log")
	}

	// From elsewhere, by a program, or by nobody: no.
	foreign := h.member("rita", auth.RoleResponder, "")
	foreign.header.Set("Origin", "https://evil.example")
	wall, _ := h.wall()
	robot, _ := h.token(auth.RoleAdministrator, "")
	size := h.Log.Size()
	foreign.post("/me/link").want(403)
	foreign.header = http.Header{}
	foreign.csrf = ""
	foreign.post("/me/link").want(403)
	h.nobody().post("/me/link").want(401)
	wall.post("/me/link").want(403)
	robot.post("/me/link").want(403)
	if h.Log.Size() != size {
		t.Error("a refused link is in the log")
	}

	for range 10 {
		if a = sam.post("/me/link"); a.status != 200 {
			break
		}
	}
	a.want(429).has("several links").hasNot("tocsin://")
}
