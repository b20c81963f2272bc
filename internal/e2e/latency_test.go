package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// viewers opens n live connections on an incident's room that read and throw
// away what comes, and returns how many frames they were given so far.
func (s *tocsin) viewers(n int, incident int64) *atomic.Int64 {
	s.t.Helper()
	var frames atomic.Int64
	since := s.incident(incident).Position
	for i := range n {
		c, err := net.Dial("tcp", s.addr)
		must(s.t, err)
		s.t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "GET /live?topic=incident/%d&since=%d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", incident, since, s.addr, s.token)
		r := bufio.NewReaderSize(c, 1024)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			s.t.Fatalf("viewer %d: %v %v", i, res, err)
		}
		go func() {
			buf := make([]byte, 8<<10)
			for {
				// The kernel's reads stand for frames: exact counting would cost more than reading.
				if _, err := c.Read(buf); err != nil {
					return
				}
				frames.Add(1)
			}
		}()
	}
	return &frames
}

// TestPostToPixel measures, with TOCSIN_BENCH set, from sending a note to the
// moment when Chromium has drawn it, without and with 1,000 other viewers of
// the same room, in turns of one run.
func TestPostToPixel(t *testing.T) {
	if os.Getenv("TOCSIN_BENCH") == "" {
		t.Log("set TOCSIN_BENCH=1 to measure; make bench does")
		return
	}
	const posts, others = 200, 1000
	alone, crowded := start(t, ""), start(t, "")
	took := map[*tocsin][]time.Duration{}
	windows := map[*tocsin]*window{}
	numbers := map[*tocsin]int64{}
	for _, s := range []*tocsin{alone, crowded} {
		link, err := url.Parse(s.link)
		must(t, err)
		w := desk(t, "measured", link.Scheme+"://"+link.Host, 1440, 900)
		w.signIn(s, "Ana Ruiz", "ana")
		n := s.declare("Measured", "SEV3", nil)
		w.open(fmt.Sprintf("/incidents/%d", n))
		w.live()
		js[bool](w, `(() => {
			window.drawn = {};
			new MutationObserver((list) => { for (const m of list) for (const e of m.addedNodes) {
				const text = e.textContent?.match(/post-[0-9a-f-]{36}/)?.[0];
				// A frame after the change is made, and the task after that frame: it is on the screen.
				if (text) requestAnimationFrame(() => setTimeout(() => { window.drawn[text] ??= Date.now(); }, 0));
			} }).observe(document.querySelector("#timeline"), { childList: true });
			return true;
		})()`)
		windows[s], numbers[s] = w, n
	}
	crowd := crowded.viewers(others, numbers[crowded])
	for i := range posts + 10 {
		for _, s := range []*tocsin{alone, crowded} {
			text := "post-" + uuid.NewString()
			body := mustJSON(t, map[string]any{"id": uuid.NewString(), "command": "add_note", "args": map[string]any{"text": text}})
			began := time.Now().UnixMilli()
			req, _ := http.NewRequest("POST", fmt.Sprintf("%s/api/v1/incidents/%d/commands", s.url, numbers[s]), bytes.NewReader(body))
			req.Header = http.Header{"Authorization": {"Bearer " + s.token}, "Content-Type": {"application/json"}}
			r, err := s.client.Do(req)
			must(t, err)
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
			windows[s].sees("has drawn it", fmt.Sprintf("window.drawn[%s]", quote(text)), patience)
			if i >= 10 { // the first ones warm everything up
				took[s] = append(took[s], time.Duration(js[int64](windows[s], fmt.Sprintf("window.drawn[%s]", quote(text)))-began)*time.Millisecond)
			}
			time.Sleep(time.Duration(20+rand.IntN(80)) * time.Millisecond) // people do not post in step with the screen
		}
	}
	at := func(s *tocsin, q float64) time.Duration {
		l := slices.Sorted(slices.Values(took[s]))
		return l[min(len(l)-1, int(q*float64(len(l))))]
	}
	t.Logf("RESULT POST to pixel, %d notes each, taken in turns: no other viewer p50 %s p99 %s; %d other viewers p50 %s p99 %s; ratio p50 %.2f p99 %.2f; %.1f reads by each viewer",
		posts, at(alone, 0.5), at(alone, 0.99), others, at(crowded, 0.5), at(crowded, 0.99),
		float64(at(crowded, 0.5))/float64(at(alone, 0.5)), float64(at(crowded, 0.99))/float64(at(alone, 0.99)), float64(crowd.Load())/others)
}
