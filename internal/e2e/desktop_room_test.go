package e2e

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// focusOn puts the focus on an element, where a person would have gone with Tab
// or the mouse.
func (a *deskApp) focusOn(selector string) {
	a.t.Helper()
	a.page.sees("has "+selector, fmt.Sprintf(`document.querySelector(%s)`, quote(selector)), patience)
	a.focus(a.window()) // another one may have the keys
	in[bool](a.page, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.focus(); e.select?.(); return true; })()`, quote(selector)))
	a.page.sees("has the focus on "+selector, fmt.Sprintf(`document.activeElement === document.querySelector(%s)`, quote(selector)), patience)
}

// press presses a button or follows a link, with the keyboard.
func (a *deskApp) press(selector string) {
	a.t.Helper()
	a.focusOn(selector)
	a.keys("Return")
}

// fill writes into a field with the keyboard.
func (a *deskApp) fill(selector, text string) {
	a.t.Helper()
	a.focusOn(selector)
	a.types(text)
	a.page.sees("has what was typed in "+selector, fmt.Sprintf(`document.querySelector(%s).value === %s`, quote(selector), quote(text)), patience)
}

// enters fills in who somebody is, at the first sign-in link of a room.
func (a *deskApp) enters(name, handle string) {
	a.t.Helper()
	a.page.sees("has the cursor where the page puts it", `document.readyState === "complete" && (document.activeElement?.id === "l-name" || performance.now() > 8000)`, patience)
	a.fill("#l-name", name)
	a.fill("#l-handle", handle)
	a.keys("Return")
	a.page.sees("is signed in", `document.body.dataset.handle === `+quote(handle), patience)
}

// begins makes the room in this computer at the first start, and returns it as
// what a program on this computer can do with it. The bootstrap token is an
// operator's; it must be in the environment.
func (a *deskApp) begins(name, handle string) *tocsin {
	a.t.Helper()
	a.page.sees("asks which room", `location.pathname === "/.desk/start"`, patience)
	a.press(`form[action="/.desk/here"] button`)
	a.enters(name, handle)
	return a.here()
}

// joins joins a server with its first sign-in link.
func (a *deskApp) joins(s *tocsin, name, handle string) {
	a.t.Helper()
	a.follows(s.link)
	a.enters(name, handle)
}

// joinsAs joins a server with the link that somebody made there for their own desktop.
func (a *deskApp) joinsAs(link, handle string) {
	a.t.Helper()
	a.follows(link)
	a.press(`form.form button[type="submit"]`)
	a.page.sees("is signed in", `document.body.dataset.handle === `+quote(handle), patience)
}

// follows joins the room of a link, at the first start.
func (a *deskApp) follows(link string) {
	a.t.Helper()
	a.page.sees("asks which room", `location.pathname === "/.desk/start"`, patience)
	a.press(`a[href="/.desk/join"]`)
	a.fill("#j-address", link)
	a.keys("Return")
	a.page.sees("is at the door of the room", `location.pathname.startsWith("/join/") && document.readyState === "complete"`, patience)
}

// embeddedToken is in the environment of a program whose own room is asked over the API.
var embeddedToken = []string{"TOCSIN_BOOTSTRAP_TOKEN=" + bootstrap}

// here is the room in this computer, found by the listener that answers /readyz
// to anybody: the front does not.
func (a *deskApp) here() *tocsin {
	a.t.Helper()
	s := &tocsin{t: a.t, dir: a.home + "/.config/tocsin", token: bootstrap, run: a.run, client: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	a.t.Cleanup(s.client.CloseIdleConnections)
	until(a.t, "the room in this computer answers", patience, func() (bool, string) {
		all := listeners(a.t, a.tree())
		for _, l := range all {
			s.addr, s.url = l, "http://"+l
			if code, _, err := s.try("GET", "/readyz", nil, nil); err == nil && code == 200 {
				return true, ""
			}
		}
		return false, strings.Join(all, " ")
	})
	return s
}

var listenLine = regexp.MustCompile(`(?m)^\S+ +\S+ +\S+ +(\S+) +\S+ *(.*)$`)

// listeners are the TCP addresses that some processes listen on, as ss tells.
func listeners(t testing.TB, pids []int) (out []string) {
	t.Helper()
	b, err := exec.Command("ss", "-ltnpH").Output()
	must(t, err)
	for _, m := range listenLine.FindAllStringSubmatch(string(b), -1) {
		for _, who := range regexp.MustCompile(`pid=(\d+),`).FindAllStringSubmatch(m[2], -1) {
			if pid, _ := strconv.Atoi(who[1]); slices.Contains(pids, pid) && !slices.Contains(out, m[1]) {
				out = append(out, m[1])
			}
		}
	}
	slices.Sort(out)
	return out
}

// where puts a colour over an element that a person cannot miss, finds it on the
// screen, and takes it away again: the element's place in pixels of the screen.
func (a *deskApp) where(selector string) image.Rectangle {
	a.t.Helper()
	return a.screen.where(selector, func(js string) { in[bool](a.page, js) })
}

var magenta = color.RGBA{255, 0, 255, 255}

func (s *screen) where(selector string, run func(js string)) (found image.Rectangle) {
	s.t.Helper()
	run(fmt.Sprintf(`(() => { const r = document.querySelector(%s).getBoundingClientRect(), d = document.createElement("div"); d.id = "e2e-paint";
		d.style.cssText = "position:fixed;z-index:2147483647;background:#f0f;left:" + Math.ceil(r.left) + "px;top:" + Math.ceil(r.top) + "px;width:" + Math.floor(r.width) + "px;height:" + Math.floor(r.height) + "px";
		document.body.append(d); return true; })()`, quote(selector)))
	until(s.t, "the colour is on the screen", patience, func() (bool, string) {
		n, where := painted(s.capture(s.all()), magenta)
		found = where
		return n > 0 && n == where.Dx()*where.Dy(), fmt.Sprint(n, where)
	})
	run(`(document.querySelector("#e2e-paint").remove(), true)`)
	until(s.t, "the colour is away", patience, func() (bool, string) {
		n, _ := painted(s.capture(found), magenta)
		return n == 0, fmt.Sprint(n)
	})
	return found
}

// likeness is how much of what is drawn in one picture, ground aside, is the
// same in the other: 1 is all of it.
func likeness(a, b *image.RGBA) float64 {
	if a.Rect.Dx() != b.Rect.Dx() || a.Rect.Dy() != b.Rect.Dy() {
		return 0
	}
	count := map[[3]uint8]int{}
	at := func(img *image.RGBA, i int) [3]uint8 { return [3]uint8{img.Pix[i], img.Pix[i+1], img.Pix[i+2]} }
	for i := 0; i < len(a.Pix); i += 4 {
		count[at(a, i)]++
	}
	ground, most := [3]uint8{}, 0
	for c, n := range count {
		if n > most {
			ground, most = c, n
		}
	}
	ink, same := 0, 0
	for i := 0; i < len(a.Pix); i += 4 {
		if c := at(a, i); c != ground {
			ink++
			if c == at(b, i) {
				same++
			}
		}
	}
	if ink == 0 {
		return 0
	}
	return float64(same) / float64(ink)
}

// base is the address of the front, as the page sees it.
func (a *deskApp) front() *url.URL {
	a.t.Helper()
	u, err := url.Parse(in[string](a.page, "location.origin"))
	must(a.t, err)
	return u
}

// secret is the cookie of this run, which no script can read: the inspector can.
func (a *deskApp) secret() (name, value string) {
	a.t.Helper()
	r, err := a.page.ask("Page.getCookies", map[string]any{})
	must(a.t, err)
	var got struct {
		Cookies []struct {
			Name, Value, SameSite string
			HTTPOnly              bool
		}
	}
	must(a.t, json.Unmarshal(r, &got))
	if len(got.Cookies) != 1 || !got.Cookies[0].HTTPOnly || got.Cookies[0].SameSite != "Strict" || len(got.Cookies[0].Value) < 32 {
		a.t.Fatalf("the window has the cookies %s; want one, HttpOnly, Strict, long", r)
	}
	return got.Cookies[0].Name, got.Cookies[0].Value
}
