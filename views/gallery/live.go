package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // the websocket handshake of RFC 6455 asks for it
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"
)

// hall holds the pages that listen, so that a test can push frames to them (POST /push).
type hall struct {
	mu   sync.Mutex
	ears map[chan string]bool
}

func (p *hall) push(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for ear := range p.ears {
		select {
		case ear <- string(body):
		default: // full: this is a gallery
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// drop cuts all sockets, as a server does that is killed.
func (p *hall) drop(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ear := range p.ears {
		delete(p.ears, ear)
		close(ear)
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveLive says hello, beats, and passes on what is pushed; enough for a page to be LIVE.
func (p *hall) serveLive(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	key := r.Header.Get("Sec-WebSocket-Key")
	if !ok || key == "" {
		http.Error(w, "a websocket is expected", http.StatusBadRequest)
		return
	}
	conn, rw, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	if _, err := fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:])); err != nil {
		return
	}
	ear := make(chan string, 64)
	p.mu.Lock()
	p.ears[ear] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.ears, ear)
		p.mu.Unlock()
	}()
	start := time.Now()
	beat := time.NewTicker(2 * time.Second)
	defer beat.Stop()
	first, then := "hello", "beat"
	if strings.HasPrefix(r.URL.Query().Get("topic"), "away-") {
		first, then = "kept", "kept"
	}
	for kind := first; ; kind = then {
		if send(rw, fmt.Sprintf(`{"type":%q,"at":%d,"since":%d}`, kind, now+time.Since(start).Milliseconds(), ago(awaySince))) != nil {
			return
		}
		for waiting := true; waiting; {
			select {
			case text, ok := <-ear:
				if !ok {
					return
				}
				if send(rw, text) != nil {
					return
				}
			case <-beat.C:
				waiting = false
			}
		}
	}
}

func send(rw *bufio.ReadWriter, text string) error {
	head := []byte{0x81, byte(len(text))}
	if len(text) > 65_535 {
		head = []byte{0x81, 127, 0, 0, 0, 0, byte(len(text) >> 24), byte(len(text) >> 16), byte(len(text) >> 8), byte(len(text))}
	} else if len(text) > 125 {
		head = []byte{0x81, 126, byte(len(text) >> 8), byte(len(text))}
	}
	if _, err := rw.Write(append(head, text...)); err != nil {
		return err
	}
	return rw.Flush()
}

// serveChart gives the outflow of the Nomad bridge as it was: quiet, a first wave, then the crowd.
func serveChart(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, "/charts/")
	type series struct {
		Name   string    `json:"name"`
		Values []float64 `json:"values"`
	}
	var t []int64
	var v []float64
	for i := 0; i < 120; i++ {
		x := float64(i)
		y := 0.18 + 0.08*math.Sin(x/7)
		switch {
		case strings.Contains(id, "outflow"):
			if i > 58 {
				y += 2.4*math.Exp(-math.Pow(x-63, 2)/18) + 5.1*math.Exp(-math.Pow(x-104, 2)/90) + 0.3*math.Sin(x*1.7)
			}
		case strings.Contains(id, "interval"):
			y = 12 + 2.5*math.Sin(x*2.3) + 1.5*math.Cos(x*3.1)
		default:
			y = 23 + 4*math.Sin(x/9) + 14/(1+math.Exp(-(x-90)/6))
		}
		t = append(t, now-int64(120-i)*30_000)
		v = append(v, math.Max(0, y))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"t": t, "series": []series{{id, v}}, "unit": ""})
}
