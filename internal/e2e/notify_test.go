package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is a webhook's other end: it keeps what comes and answers what the test says.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []received
}

type received struct {
	header http.Header
	body   string
	at     time.Time
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{status: 204}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.got = append(r.got, received{q.Header.Clone(), string(body), time.Now()})
		status, n := r.status, len(r.got)
		r.mu.Unlock()
		w.Header().Set("Location", "/message/"+fmt.Sprint(n))
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int) { r.mu.Lock(); r.status = status; r.mu.Unlock() }

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// addRoute adds a route as a person does in the page, and confirms it with the code that comes.
func (w *window) addRoute(kind, address string, code func() string) {
	w.t.Helper()
	w.open("/me/notifications")
	w.click(fmt.Sprintf(`details:has(#address-%s) > summary`, kind))
	w.fill("#address-"+kind, address)
	w.click(fmt.Sprintf(`form:has(#address-%s) button[type=submit]`, kind))
	w.shows("Added.")
	w.click(`.route[data-verified=false] [data-route-test] button`)
	w.sees("the outcome of the test comes by itself", `document.querySelector(".route[data-verified=false] [data-route-says]").dataset.outcome === "sent"`, patience)
	w.fill(".route[data-verified=false] input[name=code]", code())
	w.click(".route[data-verified=false] [data-route-code] button")
	w.shows("Confirmed.")
}

func administrator(t *testing.T, s *tocsin) *window {
	t.Helper()
	link, err := url.Parse(s.link)
	must(t, err)
	w := desk(t, "administrator", link.Scheme+"://"+link.Host, 1440, 900)
	w.signIn(s, "Ana Ruiz", "ana")
	return w
}

// receipts are what the log says of a page, newest last.
func (s *tocsin) receipts() string {
	out := ""
	for _, e := range s.events() {
		if strings.Contains(e.Type, "receipt") {
			out += string(e.Data) + "\n"
		}
	}
	return out
}

// TestPagesArriveByMail: an address is confirmed by its code, a page arrives over a real mail server (exim, STARTTLS, a password), the first
// route dies and the second gets the page, and the log has the receipts of both.
func TestPagesArriveByMail(t *testing.T) {
	mail, hook := startExim(t), newReceiver(t)
	t.Setenv("SSL_CERT_FILE", filepath.Join(mail.dir, "cert.pem"))
	s := start(t, "notify:\n  smtp:\n    address: 127.0.0.1:"+mail.port+"\n    from: Tocsin <tocsin@example.test>\n    user: tocsin\n    password: exim-password\n")
	w := administrator(t, s)
	w.open("/me/notifications")
	w.shows("No route is set up: only a desktop program of yours that is open can show you a page.")
	w.picture("notifications-empty")
	w.axe("notifications without routes")
	w.addRoute("email", "ana@example.test", func() string { return sixDigits.FindString(mail.about("Your code is").subject()) })

	n := s.declare("Bridge outflow is 5.4 % of TVL", "SEV1", nil)
	s.command(n, "page", map[string]any{"person": "ana", "reason": "the bridge is drained"})
	l := mail.about(fmt.Sprintf("SEV1 #%d", n))
	if !strings.HasPrefix(l.subject(), "⬣ SEV1 #") || !strings.Contains(l.plain, "Open: http://") || !strings.Contains(l.html, "<strong>⬣ SEV1") || l.header.Get("Auto-Submitted") != "auto-generated" ||
		!strings.HasSuffix(l.header.Get("Message-ID"), "@example.test>") || !strings.Contains(l.header.Get("Received"), "esmtpsa") || l.header.Get("Importance") != "high" {
		t.Errorf("%v\n%s\n%s", l.header, l.plain, l.html)
	}
	t.Logf("the letter:\nSubject: %s\nReceived: %s\n%s", l.subject(), strings.Join(strings.Fields(l.header.Get("Received")), " "), l.plain)
	until(t, "the receipt is in the log", patience, func() (bool, string) {
		text := s.receipts()
		return strings.Contains(text, "the mail server took it"), text
	})

	// A webhook comes first, and then it is gone.
	w.addRoute("webhook", hook.URL+"/very-secret-path", func() string {
		all := hook.all()
		return sixDigits.FindString(all[len(all)-1].body)
	})
	w.click(`.route:last-child button[value=up]`)
	w.sees("the webhook is first", `document.querySelector(".route .route-name b").innerText === "webhook"`, patience)
	w.picture("notifications")
	w.click(`.route:first-child .route-more > summary`)
	w.axe("notifications with the settings of a webhook")
	w.picture("notifications-settings")
	hook.answers(http.StatusGone)
	second := s.declare("Withdrawals are stuck", "SEV2", nil)
	s.command(second, "page", map[string]any{"person": "ana", "reason": "nothing leaves the hot wallet"})
	mail.about(fmt.Sprintf("SEV2 #%d", second))
	until(t, "both receipts are in the log", patience, func() (bool, string) {
		text := s.receipts()
		return strings.Contains(text, "the webhook answered 410") && strings.Count(text, "the mail server took it") >= 2, text
	})
	got := hook.all()
	last := got[len(got)-1]
	if !strings.HasPrefix(last.header.Get("X-Tocsin-Signature"), "v1=") || !strings.Contains(last.body, `"incident":`+fmt.Sprint(second)) {
		t.Errorf("%v %s", last.header, last.body)
	}
	w.open("/me/notifications")
	w.sees("the page says that the webhook failed", `document.querySelector(".route [data-route-says]").innerText.includes("410")`, patience)

	// Nothing of an address or a code is in the log of events or in what the program says.
	if all := fmt.Sprint(s.receipts(), s.run.out); strings.Contains(all, "very-secret-path") || strings.Contains(all, "ana@example.test") || strings.Contains(all, "exim-password") {
		t.Error("an address or a password was told")
	}
	for _, e := range s.events() {
		if strings.Contains(string(e.Data), "very-secret-path") || strings.Contains(string(e.Data), "ana@example.test") {
			t.Errorf("an address is in the log: %s", e.Data)
		}
	}

	// A removed route comes back.
	w.click(`.route:first-child .act.grave`)
	w.shows("The route is removed.")
	w.click(`.undo button`)
	w.shows("The route is back.")

	// The mail server refuses an address at once, and a restart of it is survived.
	w.addRefused("email", "nobody@example.test", "refused the address (550)")
	mail.run.kill()
	third := s.declare("Oracle is stale", "SEV1", nil)
	s.command(third, "page", map[string]any{"person": "ana", "reason": "the feed stands still"})
	until(t, "the failure is told", patience, func() (bool, string) {
		text := s.receipts()
		return strings.Contains(text, "the server cannot be reached"), text
	})
	s.restart() // what waits goes on where it was
	mail.up()
	mail.about(fmt.Sprintf("SEV1 #%d", third))
}

// addRefused adds a route whose test fails, and removes it.
func (w *window) addRefused(kind, address, why string) {
	w.t.Helper()
	w.open("/me/notifications")
	w.click(fmt.Sprintf(`details:has(#address-%s) > summary`, kind))
	w.fill("#address-"+kind, address)
	w.click(fmt.Sprintf(`form:has(#address-%s) button[type=submit]`, kind))
	w.shows("Added.")
	w.click(`.route[data-verified=false] [data-route-test] button`)
	w.sees("the outcome of the test says "+why, fmt.Sprintf(`document.querySelector(".route[data-verified=false] [data-route-says]").innerText.includes(%s)`, quote(why)), patience)
	w.click(`.route[data-verified=false] .act.grave`)
	w.shows("The route is removed.")
}
