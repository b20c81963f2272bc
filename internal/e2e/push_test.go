package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
)

// receivePush is the receiving end of web push in the page, with the browser's own cryptography: keys of each subscription, the check of the sender's
// name (RFC 8292) and the opening of a message (RFC 8291).
const receivePush = `(() => {
  const b64 = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const un64 = (t) => Uint8Array.from(atob(t.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = new TextEncoder();
  const join = (...parts) => { const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0)); let at = 0; for (const p of parts) { out.set(p, at); at += p.length; } return out; };
  const hkdf = async (ikm, salt, info, n) => new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]), 8 * n));
  const subscriptions = {};
  window.pushReceiver = {
    async keys(name) {
      const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
      const own = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
      const auth = crypto.getRandomValues(new Uint8Array(16));
      subscriptions[name] = { pair, own, auth };
      return { p256dh: b64(own), auth: b64(auth) };
    },
    async vapid(header, audience) {
      const m = /^vapid t=([^,]+), ?k=(.+)$/.exec(header);
      if (!m || m[2] !== document.querySelector("[data-push]").dataset.key) return "not the key that this page subscribes with";
      const [head, claims, signature] = m[1].split(".");
      const key = await crypto.subtle.importKey("raw", un64(m[2]), { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
      if (!await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, un64(signature), text.encode(head + "." + claims))) return "the signature is not good";
      const c = JSON.parse(new TextDecoder().decode(un64(claims)));
      if (c.aud !== audience || !/^(mailto:|https:)/.test(c.sub) || c.exp * 1000 > Date.now() + 86400000 || c.exp * 1000 < Date.now()) return JSON.stringify(c);
      return "good";
    },
    async open(name, body) {
      const { pair, own, auth } = subscriptions[name];
      const all = un64(body), salt = all.slice(0, 16), n = all[20], theirs = all.slice(21, 21 + n);
      const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: await crypto.subtle.importKey("raw", theirs, { name: "ECDH", namedCurve: "P-256" }, false, []) }, pair.privateKey, 256));
      const ikm = await hkdf(shared, auth, join(text.encode("WebPush: info\0"), own, theirs), 32);
      const key = await crypto.subtle.importKey("raw", await hkdf(ikm, salt, text.encode("Content-Encoding: aes128gcm\0"), 16), "AES-GCM", false, ["decrypt"]);
      const plain = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: await hkdf(ikm, salt, text.encode("Content-Encoding: nonce\0"), 12) }, key, all.slice(21 + n)));
      let end = plain.length - 1;
      while (plain[end] === 0) end--;
      if (plain[end] !== 2) throw new Error("not the last record");
      return new TextDecoder().decode(plain.slice(0, end));
    },
  };
  return true;
})()`

// clickNotification runs our service worker's own script with the real notification and a window opener that says where it would lead: browsers
// open windows only for a person's click, and nothing here can click the notification of a headless browser.
const clickNotification = `(async (action) => {
  const handlers = {}, opened = [];
  const registration = await navigator.serviceWorker.ready;
  const self = { addEventListener: (name, f) => { handlers[name] = f; }, location, registration, skipWaiting() {}, clients: { claim() {}, matchAll: async () => [], openWindow: async (to) => { opened.push(to); } } };
  ((self) => { SCRIPT })(self);
  const [notification] = await registration.getNotifications();
  let done;
  handlers.notificationclick({ notification, action, waitUntil: (p) => { done = p; } });
  await done;
  return opened[0];
})`

// tellChromium sends one command of the DevTools protocol.
func tellChromium[P any](w *window, command cdp.Command[P, cdp.Empty], params P) {
	w.t.Helper()
	_, err := chromedp.Run(w.ctx, func(ctx context.Context, target *chromedp.Target) (bool, error) {
		_, err := cdp.Call(ctx, target, command, params)
		return err == nil, err
	})
	must(w.t, err)
}

// pushedPhone is a window of a phone that shows notifications.
type pushedPhone struct {
	*window
	mu     sync.Mutex
	worker serviceworker.RegistrationID // of our service worker, "" = not registered
}

func pushedTo(t testing.TB, s *tocsin) *pushedPhone {
	t.Helper()
	root, err := chromium()
	must(t, err)
	link, err := url.Parse(s.link)
	must(t, err)
	origin := link.Scheme + "://" + link.Host
	// Windows with cookies of their own are private ones, in which browsers show no notifications.
	ctx, cancel := chromedp.NewContext(root)
	w := &pushedPhone{window: newWindow(t, "phone", origin, 390, 844, ctx, cancel)}
	tellChromium(w.window, browser.SetPermission, browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: "notifications"}, Setting: browser.PermissionSettingGranted, Origin: origin})
	must(t, chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*serviceworker.EventWorkerRegistrationUpdated); ok {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, r := range e.Registrations {
				if !r.IsDeleted && strings.HasPrefix(r.ScopeURL, origin) {
					w.worker = r.RegistrationID
				}
			}
		}
	}))
	tellChromium(w.window, serviceworker.Enable, cdp.Empty{})
	return w
}

// listens makes the page it is at ready for pushes: our service worker runs and the receiving end is in the page.
func (w *pushedPhone) listens() {
	w.t.Helper()
	if got := js[string](w.window, `navigator.serviceWorker.register("/sw.js", { scope: "/" }).then(() => navigator.serviceWorker.ready).then((r) => r.scope)`); got != w.base+"/" {
		w.t.Fatalf("the service worker is in charge of %s", got)
	}
	js[bool](w.window, receivePush)
	until(w.t, "Chromium tells the service worker's id", patience, func() (bool, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.worker != "", "none"
	})
}

// opens decrypts a message with the keys of the subscription of that name.
func (w *pushedPhone) opens(name string, push received) string {
	w.t.Helper()
	return js[string](w.window, fmt.Sprintf(`window.pushReceiver.open(%s, %s)`, quote(name), quote(base64.StdEncoding.EncodeToString([]byte(push.body)))))
}

// delivers hands an opened message to the service worker, as the browser's own connection to its maker would.
func (w *pushedPhone) delivers(plain string) {
	w.t.Helper()
	w.mu.Lock()
	id := w.worker
	w.mu.Unlock()
	tellChromium(w.window, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: w.base, RegistrationID: id, Data: plain})
}

// TestPushReachesTheBrowser: a page is pushed to a push service as RFC 8030 has it, opened in Chromium with the subscription's keys, delivered to our
// service worker, shown as a notification that leads to the incident, and the device's word for it is in the log.
//
// What stands between is not shown here, since there is no way from here to the makers of browsers: that PushManager subscribes, and that a
// maker's push service takes our POST and delivers it.
func TestPushReachesTheBrowser(t *testing.T) {
	service := newReceiver(t)
	service.answers(201)
	s := start(t, "")
	w := pushedTo(t, s)
	w.signIn(s, "Ana Ruiz", "ana")
	w.open("/me/notifications")
	w.sees("the page offers notifications", `!document.querySelector("[data-push-on]").hidden`, patience)
	w.picture("notifications-phone")
	if wide := js[int](w.window, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the page is %d pixels wide on a phone of 390", wide)
	}

	w.listens()
	made := js[string](w.window, fmt.Sprintf(`(async () => {
	  const keys = await window.pushReceiver.keys("ana");
	  const r = await fetch("/api/v1/me/routes", { method: "POST", headers: { "Content-Type": "application/json", "X-Tocsin-CSRF": document.querySelector('meta[name=csrf]').content },
	    body: JSON.stringify({ kind: "push", label: "this phone", push: { endpoint: %s, keys } }) });
	  return r.status + " " + await r.text();
	})()`, quote(service.URL+"/wpush/v1/secret-address")))
	if !strings.HasPrefix(made, "201 ") {
		t.Fatal(made)
	}

	n := s.declare("Bridge outflow is 5.4 % of TVL", "SEV1", nil)
	s.command(n, "page", map[string]any{"person": "ana", "reason": "the bridge is drained"})
	until(t, "the push service is asked", patience, func() (bool, string) { return len(service.all()) > 0, s.receipts() })
	push := service.all()[0]
	if push.header.Get("Ttl") == "" || push.header.Get("Urgency") != "high" || push.header.Get("Content-Encoding") != "aes128gcm" || len(push.header.Get("Topic")) != 32 || len(push.body) > 4096 {
		t.Errorf("%v, %d bytes", push.header, len(push.body))
	}
	if got := js[string](w.window, fmt.Sprintf(`window.pushReceiver.vapid(%s, %s)`, quote(push.header.Get("Authorization")), quote(service.URL))); got != "good" {
		t.Errorf("VAPID: %s", got)
	}
	plain := w.opens("ana", push)
	var payload struct{ Title, URL, Ack, Seen string }
	must(t, json.Unmarshal([]byte(plain), &payload))
	t.Logf("opened in the browser: %s", plain)

	w.delivers(plain)
	s.stands(n, "ana")
	if got := w.notifications(); len(got) != 1 || !strings.Contains(got[n], fmt.Sprintf("SEV1 #%d", n)) {
		t.Errorf("the notifications are %v", got)
	}
	_, script := s.asNobody("GET", "/sw.js", nil)
	opened := js[string](w.window, strings.Replace(clickNotification, "SCRIPT", string(script), 1)+`("")`)
	if opened != payload.URL || !strings.Contains(opened, fmt.Sprintf("/incidents/%d", n)) {
		t.Fatalf("a click leads to %q", opened)
	}
	w.open(opened)
	w.shows("Bridge outflow is 5.4 % of TVL")
	if strings.Contains(fmt.Sprint(s.receipts(), s.run.out), "secret-address") {
		t.Error("the address of the subscription was told")
	}

	// A browser that is gone is known at once.
	service.answers(410)
	s.command(s.declare("Withdrawals are stuck", "SEV2", nil), "page", map[string]any{"person": "ana", "reason": "nothing leaves"})
	until(t, "the failure is told", patience, func() (bool, string) {
		text := s.receipts()
		return strings.Contains(text, "switched notifications off"), text
	})
}

// sends posts JSON as a page's script would, with the token against forgery.
func (v *visitor) sends(path string, body any) {
	v.t.Helper()
	token := csrfField.FindStringSubmatch(second(v.get("/me")))
	if token == nil {
		v.t.Fatal("the page has no token against forgery")
	}
	req, err := http.NewRequest("POST", v.base+path, bytes.NewReader(mustJSON(v.t, body)))
	must(v.t, err)
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Tocsin-CSRF": {token[1]}}
	r, err := v.client.Do(req)
	must(v.t, err)
	defer r.Body.Close()
	if answer, err := io.ReadAll(r.Body); err != nil || r.StatusCode >= 300 {
		v.t.Fatalf("%s: %d %s %v", path, r.StatusCode, answer, err)
	}
}

var incidentOf = regexp.MustCompile(`/incidents/([0-9]+)/page$`)

// notifications are the titles of those that Chromium holds, by incident. Asked while one is just being made, Chromium forgets that one: so only after
// the device's word.
func (w *pushedPhone) notifications() map[int64]string {
	w.t.Helper()
	out := map[int64]string{}
	for _, n := range js[[]struct{ Title, URL string }](w.window, `navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((l) => l.map((n) => ({ title: n.title, url: n.data.url })))`) {
		m := incidentOf.FindStringSubmatch(n.URL)
		if m == nil {
			w.t.Fatalf("a notification leads to %q", n.URL)
		}
		number, err := strconv.ParseInt(m[1], 10, 64)
		must(w.t, err)
		if was, twice := out[number]; twice {
			w.t.Errorf("incident %d is shown as %q and as %q", number, was, n.Title)
		}
		out[number] = n.Title
	}
	return out
}

// stands waits until the service worker has said that the notification of an incident is shown to this person, and returns when it did.
func (s *tocsin) stands(n int64, person string) (at time.Time) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("the notification of incident %d is shown to %s", n, person), patience, func() (bool, string) {
		var log struct{ Events []event }
		s.api("GET", fmt.Sprintf("/api/v1/incidents/%d/events", n), nil, &log)
		said := ""
		for _, e := range log.Events {
			if e.Type != "incident.pages_receipted" {
				continue
			}
			said += string(e.Data)
			var b struct {
				Receipts []struct {
					Person, Outcome string
					At              int64
				}
			}
			must(s.t, json.Unmarshal(e.Data, &b))
			for _, r := range b.Receipts {
				if r.Person == person && r.Outcome == "delivered" {
					at = time.UnixMilli(r.At)
				}
			}
		}
		return !at.IsZero(), said
	})
	return at
}

// TestPushLatency says how long it takes from an alert's POST until the notification of its incident stands in Chromium, by the word of the service worker
// that the server dates when it comes; only then is the browser asked for it. Each alert is routed to somebody else, since
// what one person gets within five seconds is bundled, and comes when the one before is shown. Each push is opened with the keys of the one it is for. The push
// service is on this machine: the way over a maker's service and a phone's radio comes on top.
func TestPushLatency(t *testing.T) {
	const people = 60
	service := newReceiver(t)
	service.answers(201)
	s := start(t, "")
	ana := s.enter("ana", "Ana Ruiz")
	w := pushedTo(t, s)
	w.open("/signin")
	w.listens()
	team := s.oncall("create_team", map[string]any{"name": "Front", "tier": 1, "members": []string{"ana"}}, "Front")
	for i := range people {
		handle := fmt.Sprintf("p%d", i)
		keys := js[json.RawMessage](w.window, fmt.Sprintf(`window.pushReceiver.keys(%s)`, quote(handle)))
		ana.invites(handle, fmt.Sprintf("Person %d", i), "administrator").sends("/api/v1/me/routes",
			map[string]any{"kind": "push", "label": "phone", "push": map[string]any{"endpoint": service.URL + "/wpush/v1/" + handle, "keys": keys}})
		s.oncall("add_rule", map[string]any{"rule": map[string]any{"components": []string{"part-" + handle}, "team": team, "policy": s.policy("Policy "+handle, 10*time.Minute, handle)}}, "")
	}
	_, path, _ := s.source("Alertmanager", "alertmanager")
	var asked, shown []time.Duration // until the push service was asked, until the device said that the notification stands
	for i := range people {
		handle, n := fmt.Sprintf("p%d", i), int64(i+1)
		name := fmt.Sprintf("Alert%sIsFiring", handle)
		body := webhook(name, "firing", alert(name, name, map[string]any{"component": "part-" + handle}))
		began := time.Now()
		s.post(t, path, body)
		until(t, "the push service is asked for "+handle, patience, func() (bool, string) { n := len(service.all()); return n == i+1, fmt.Sprint(n, " pushes") })
		push := service.all()[i]
		plain := w.opens(handle, push)
		w.delivers(plain)
		stands := s.stands(n, handle)
		if got := w.notifications(); len(got) != int(n) || !strings.Contains(got[n], name) {
			t.Errorf("after %d alerts there are the notifications %v; the last is of %s: %s", n, got, name, plain)
		}
		asked = append(asked, push.at.Sub(began))
		shown = append(shown, stands.Sub(began))
	}
	if n := strings.Count(s.receipts(), `"delivered"`); n != people || len(service.all()) != people {
		t.Errorf("%d pushes and %d words of devices for %d alerts", len(service.all()), n, people)
	}
	load, err := os.ReadFile("/proc/loadavg")
	must(t, err)
	figures := func(l []time.Duration) string {
		slices.Sort(l)
		at := func(percent int) time.Duration { return l[(len(l)*percent+99)/100-1].Round(time.Millisecond) }
		return fmt.Sprintf("p50 %s, p90 %s, p99 %s, worst %s", at(50), at(90), at(99), at(100))
	}
	t.Logf("alert POST to notification in Chromium, %d alerts: %s; of that until the push service is asked: %s; load average %s", people, figures(shown), figures(asked), strings.Join(strings.Fields(string(load))[:3], " "))
}
