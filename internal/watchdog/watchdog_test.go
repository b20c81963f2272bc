package watchdog

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// As long as all is well it beats; when something is not, it is silent and says why; when it is well again, it beats again.
func TestSilentWhileIll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ill atomic.Value
		ill.Store("")
		var sent []time.Duration
		began := time.Now()
		w := New(Options{
			Beats:  []Beat{{Name: "outside", URL: "https://hc.example/ping/geheim", Method: "POST", Every: time.Minute}},
			Checks: []Check{{"well", func(context.Context) string { return "" }}, {"store", func(context.Context) string { return ill.Load().(string) }}},
			Send:   func(context.Context, Beat) error { sent = append(sent, time.Since(began)); return nil },
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		time.Sleep(150 * time.Second)
		ill.Store("The store takes nothing: disk full.")
		time.Sleep(3 * time.Minute)
		if s := w.States()[0]; s.Why != "The store takes nothing: disk full." || s.Held != 3 || s.Sent != 3 || s.Host != "hc.example" {
			t.Errorf("%+v", s)
		}
		ill.Store("")
		time.Sleep(time.Minute)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, time.Minute, 2 * time.Minute, 6 * time.Minute}
		if len(sent) != len(want) {
			t.Fatalf("sent at %v", sent)
		}
		for i := range want {
			if sent[i] != want[i] {
				t.Errorf("sent at %v, want %v", sent, want)
			}
		}
	})
}

// One that is not taken is tried again at once, and the next one comes at its time.
func TestLostOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		w := New(Options{Beats: []Beat{{Name: "a", Method: "GET", Every: time.Minute}}, Send: func(context.Context, Beat) error {
			if calls++; calls <= 2 || calls > 3 {
				return errors.New("refused")
			}
			return nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
		if s := w.States()[0]; s.Sent != 1 || s.Failed != 1 || calls != 6 || s.Why != "Nobody took the heartbeat: refused." {
			t.Errorf("%+v after %d calls", s, calls)
		}
	})
}

// One out of turn tells what became of it, is held back like every other, is tried once, and never runs beside another one of the same name.
func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ill, answer, calls := "", error(nil), 0
		gate := make(chan struct{}, 1)
		w := New(Options{
			Beats:  []Beat{{Name: "outside", URL: "https://hc.example/ping/geheim", Method: "POST", Every: time.Minute}, {Name: "slow", URL: "https://slow.example/geheim", Every: time.Minute}},
			Checks: []Check{{"store", func(context.Context) string { return ill }}},
			Send: func(ctx context.Context, b Beat) error {
				calls++
				if b.Name == "slow" {
					select {
					case <-gate:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return answer
			},
		})
		if s := w.States()[0]; s.Outcome != Unsent || !s.At.IsZero() {
			t.Errorf("before the first: %+v", s)
		}
		began := time.Now()
		if s, err := w.Now(t.Context(), "outside"); err != nil || s.Outcome != Taken || s.Sent != 1 || s.Why != "" || s.SentAt != began || s.Host != "hc.example" {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(time.Second)
		answer = errors.New("hc.example answered 500")
		if s, err := w.Now(t.Context(), "outside"); err != nil || s.Outcome != NotTaken || s.Failed != 1 || s.Why != "Nobody took the heartbeat: hc.example answered 500." || s.SentAt != began || calls != 2 {
			t.Errorf("%+v, %v after %d calls", s, err, calls)
		}
		time.Sleep(time.Second)
		ill = "The store takes nothing: disk full."
		if s, err := w.Now(t.Context(), "outside"); err != nil || s.Outcome != HeldBack || s.Held != 1 || s.Why != ill || calls != 2 || s.Since != began.Add(2*time.Second) {
			t.Errorf("%+v, %v after %d calls", s, err, calls)
		}
		time.Sleep(time.Second)
		if s, _ := w.Now(t.Context(), "outside"); s.Since != began.Add(2*time.Second) || s.At != began.Add(3*time.Second) {
			t.Errorf("held back again: %+v", s)
		}
		if _, err := w.Now(t.Context(), "nobody"); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}

		ill, answer = "", nil
		ended := make(chan error)
		go func() { _, err := w.Now(t.Context(), "slow"); ended <- err }()
		synctest.Wait()
		if _, err := w.Now(t.Context(), "slow"); !errors.Is(err, ErrBusy) {
			t.Errorf("two at a time: %v", err)
		}
		gate <- struct{}{}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if s, err := w.Now(gone, "slow"); err == nil || s.Failed+s.Held != 0 {
			t.Errorf("who left is no failure: %+v, %v", s, err)
		}
		time.Sleep(time.Second)
		if s, err := w.Now(t.Context(), "slow"); err != nil || s.Outcome != NotTaken || time.Since(began) != 4*time.Second+sendWithin {
			t.Errorf("one that hangs: %+v, %v after %v", s, err, time.Since(began))
		}
	})
}

// A check that hangs is not well.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{Checks: []Check{{"store", func(ctx context.Context) string { <-ctx.Done(); return "The store does not answer." }}}})
		if ill := w.Ill(t.Context()); len(ill) != 1 {
			t.Error(ill)
		}
	})
}

func TestOverHTTP(t *testing.T) {
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the key went to another host") }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path)
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/geheim", http.StatusFound)
		case "/nowhere":
			w.Header().Set("Location", "http://a b/geheim\x7f")
			w.WriteHeader(http.StatusFound)
		case "/geheim-bad":
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer s.Close()
	send := overHTTP(client())
	for _, one := range []struct{ method, path, want string }{
		{"POST", "/ok", ""}, {"HEAD", "/ok", ""}, {"GET", "/away", "another host"}, {"GET", "/nowhere", "another host"}, {"POST", "/geheim-bad", "answered 403"},
	} {
		err := send(t.Context(), Beat{URL: s.URL + one.path, Method: one.method})
		if one.want == "" && err != nil || one.want != "" && (err == nil || !strings.Contains(err.Error(), one.want) || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%s %s: %v", one.method, one.path, err)
		}
	}
	s.Close()
	if err := send(t.Context(), Beat{URL: s.URL + "/geheim", Method: "GET"}); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("nobody listens: %v", err)
	}
	if len(got) != 5 || got[0] != "POST /ok" || got[1] != "HEAD /ok" {
		t.Error(got)
	}
	http.DefaultClient.CloseIdleConnections()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestChecks(t *testing.T) {
	now := int64(1_795_000_000_000)
	clock := func() int64 { return now }
	db := mem.New()
	well := Writable(db, "a", clock)
	if why := well.Ask(t.Context()); why != "" {
		t.Error(why)
	}
	if _, err := db.Get(t.Context(), []byte(keyTouch+"a")); err != nil {
		t.Error(err)
	}
	_ = db.Close()
	if why := well.Ask(t.Context()); !strings.Contains(why, store.ErrClosed.Error()) {
		t.Errorf("a closed store: %q", why)
	}

	last, broken := int64(0), error(nil)
	r := Recent("pager", "Nobody sees to the pages", func(context.Context) (int64, error) { return last, broken }, time.Minute, clock)
	if why := r.Ask(t.Context()); why != "Nobody sees to the pages: never yet." {
		t.Error(why)
	}
	last = now - 60_000
	if why := r.Ask(t.Context()); why != "" {
		t.Error(why)
	}
	now++
	if why := r.Ask(t.Context()); why != "Nobody sees to the pages: for 1m0.001s." {
		t.Error(why)
	}
	if broken = store.ErrUnavailable; !strings.Contains(r.Ask(t.Context()), "could not be asked") {
		t.Error(r.Ask(t.Context()))
	}

	size, done := int64(10), int64(10)
	k := Keeping("board", "The pages do not follow the log", func() int64 { return size }, func() int64 { return done }, time.Minute, clock)
	for i := range 4 {
		now += 61_000
		if why := k.Ask(t.Context()); why != "" {
			t.Errorf("at rest, ask %d: %s", i, why)
		}
	}
	size = 30
	now += 30_000
	done = 20
	if why := k.Ask(t.Context()); why != "" {
		t.Errorf("it moves: %s", why)
	}
	now += 61_000
	if why := k.Ask(t.Context()); why != "The pages do not follow the log: 20 of 30 events for 1m1s." {
		t.Error(why)
	}
	done = 30
	if why := k.Ask(t.Context()); why != "" {
		t.Error(why)
	}
}
