package desk

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listeners are the addresses that this very process listens on, as ss shows them.
func listeners(t *testing.T) []string {
	t.Helper()
	own := map[string]bool{}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			own[strings.Trim(strings.TrimPrefix(to, "socket:"), "[]")] = true
		}
	}
	var out []string
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/self/net/" + table)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			c := strings.Fields(lines.Text())
			if len(c) < 10 || c[3] != "0A" || !own[c[9]] {
				continue
			}
			host, port, _ := strings.Cut(c[1], ":")
			n, _ := strconv.ParseInt(port, 16, 32)
			switch host {
			case "0100007F":
				host = "loopback"
			case "00000000", strings.Repeat("0", 32):
				host = "every"
			}
			out = append(out, fmt.Sprintf("%s:%d", host, n))
		}
		f.Close()
	}
	slices.Sort(out)
	return out
}

func outward(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(a string) bool { return strings.HasPrefix(a, "loopback:") })
}

// TestNetworkSwitch: nothing listens but on loopback until somebody switched it on and was told who that lets in; then exactly one listener more, with the
// certificate whose fingerprint is shown; and none again after it. The window goes on all the while.
func TestNetworkSwitch(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	if out := outward(listeners(t)); len(out) > 0 || len(listeners(t)) < 2 {
		t.Fatalf("it listens on %v, all: %v", out, listeners(t))
	}
	port := freePort(t)
	form := url.Values{"on": {"yes"}, "host": {everyAddress}, "port": {strconv.Itoa(port)}, "name": {"laptop.example.org"}}
	w.post("/.desk/network", form).want(t, 200, "/.desk/network", "Everybody in every network that this computer is in can then open port "+strconv.Itoa(port), "Let them reach this room")
	if out := outward(listeners(t)); len(out) > 0 || h.d.book.read().Network.On {
		t.Fatalf("it listens before the yes: %v", out)
	}
	for field, bad := range map[string]string{"host": "127.0.0.1", "port": "0", "name": "a b"} {
		wrong := url.Values{"on": {"yes"}, "sure": {"yes"}, "host": {everyAddress}, "port": {strconv.Itoa(port)}}
		wrong.Set(field, bad)
		w.post("/.desk/network", wrong).want(t, 422, "/.desk/network")
	}
	form.Set("sure", "yes")
	page := w.post("/.desk/network", form).want(t, 200, "/.desk/settings", "https://laptop.example.org:"+strconv.Itoa(port), "can open port")
	if out := outward(listeners(t)); len(out) != 1 || out[0] != "every:"+strconv.Itoa(port) {
		t.Fatalf("it listens on %v, want one on port %d", out, port)
	}
	conn, err := tls.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	leaf := conn.ConnectionState().PeerCertificates[0]
	conn.Close()
	if !strings.Contains(page.body, grouped(fingerprint(leaf))) || leaf.VerifyHostname("laptop.example.org") != nil {
		t.Errorf("the page does not show the fingerprint %s", grouped(fingerprint(leaf)))
	}
	others := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for path, want := range map[string]int{"/healthz": 200, "/.desk/settings": 404, "/api/v1/incidents": 401} {
		res, err := others.Get("https://127.0.0.1:" + strconv.Itoa(port) + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("others see %d at %s, want %d", res.StatusCode, path, want)
		}
	}
	w.get("/").want(t, 200, "/", "Ana Ruiz") // still signed in, by the same front
	w.get("/people").want(t, 200, "/people")

	w.post("/.desk/network", nil).want(t, 200, "/.desk/settings", "Only this computer can reach the room")
	w.get("/").want(t, 200, "/", "Ana Ruiz") // the room is open again
	if out := outward(listeners(t)); len(out) > 0 {
		t.Errorf("it still listens on %v", out)
	}
}

// TestNetworkThatCannotBe: a port that is taken keeps nobody out of the room, and the page says why others cannot come.
func TestNetworkThatCannotBe(t *testing.T) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	h := start(t, t.TempDir())
	w := h.found()
	w.post("/.desk/network", url.Values{"on": {"yes"}, "sure": {"yes"}, "host": {everyAddress}, "port": {port}}).want(t, 200, "/.desk/settings", "another program uses port "+port)
	w.get("/").want(t, 200, "/", "Ana Ruiz")
}

// TestFixedPort: programs of this computer find the room again; one that is taken is said, and 0 opens it.
func TestFixedPort(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	port := strconv.Itoa(freePort(t))
	w.post("/.desk/port", url.Values{"port": {port}}).want(t, 200, "/.desk/settings", "http://127.0.0.1:"+port)
	if !slices.Contains(listeners(t), "loopback:"+port) {
		t.Errorf("it listens on %v", listeners(t))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w.post("/.desk/port", url.Values{"port": {strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)}})
	w.get("/").want(t, 503, "/", "Another program uses the port")
	w.post("/.desk/port", url.Values{"port": {"0"}})
	w.get("/").want(t, 200, "/", "Ana Ruiz")
	w.post("/.desk/port", url.Values{"port": {"70000"}}).want(t, 422, "/.desk/port", "A port is a number")
}
