// Package hostile owns nodes that lie, stall and flood, and what a collector must hold against them; only tests use it, it is never part of
// the program.
package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// Case is one way to misbehave.
type Case struct {
	Name  string
	Serve http.HandlerFunc
	// Says are parts of sentences; one of them must stand in the reason that the collector gives for its state.
	Says []string
	// Light cases are tried beside each other; the others one by one, so that their memory can be measured.
	Light bool
}

// cases are what every collector that asks over HTTP must hold. strangers counts requests that reached a host to which a node redirected.
func cases(rpc bool, stranger string) []Case {
	large, late := []string{"larger than 8 MiB"}, []string{"did not answer in time"}
	list := []Case{
		{Name: "1 GiB body", Says: large, Serve: func(w http.ResponseWriter, _ *http.Request) {
			flood(w, `{"jsonrpc":"2.0","id":1,"data":"`, strings.Repeat("x", 64<<10), 1<<30)
		}},
		{Name: "1 GiB body of an error", Says: large, Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			flood(w, "", strings.Repeat("x", 64<<10), 1<<30)
		}},
		{Name: "gzip bomb of 1 GiB", Says: large, Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for range 64 {
				if _, err := w.Write(bomb); err != nil {
					return
				}
			}
		}},
		{Name: "JSON 100,000 levels deep", Says: []string{"nested deeper than 64 levels"}, Serve: text(strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000))},
		{Name: "objects 100,000 levels deep", Says: []string{"nested deeper than 64 levels"}, Serve: text(strings.Repeat(`{"result":`, 100_000))},
		{Name: "two million empty objects", Says: []string{"holds more than 262144 values"}, Serve: text(`[` + strings.Repeat(`{},`, 2_000_000) + `{}]`)},
		{Name: "two million empty texts", Says: []string{"holds more than 262144 values"}, Serve: text(`{"result":[` + strings.Repeat(`"",`, 2_000_000) + `""]}`)},
		{Name: "HTML", Light: true, Says: []string{"not with JSON", "where that cannot be"}, Serve: text(`<!doctype html><html><body>Welcome</body></html>`)},
		{Name: "a bare number", Light: true, Says: []string{"not with JSON", "where that cannot be", "closed the connection"}, Serve: text(`42`)},
		{Name: "nothing", Light: true, Says: []string{"not with JSON", "closed the connection"}, Serve: text(``)},
		{Name: "redirect loop", Light: true, Says: []string{"sends us to another address (HTTP 302)"}, Serve: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}},
		{Name: "redirect to another host", Light: true, Says: []string{"sends us to another address (HTTP 307)"}, Serve: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stranger+r.URL.Path, http.StatusTemporaryRedirect)
		}},
		{Name: "1 MiB of headers", Says: []string{"could not be asked"}, Serve: func(w http.ResponseWriter, _ *http.Request) {
			for i := range 1024 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1024))
			}
		}},
		{Name: "half-closed", Light: true, Says: []string{"closed the connection"}, Serve: raw(false, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":")},
		{Name: "no HTTP", Light: true, Says: []string{"does not speak plain http", "closed the connection", "could not be asked"}, Serve: raw(false, "\x15\x03\x01\x00\x02\x02\x50")},
		{Name: "never-ending stream", Light: true, Says: late, Serve: func(w http.ResponseWriter, r *http.Request) {
			for w.(http.Flusher).Flush(); r.Context().Err() == nil; w.(http.Flusher).Flush() {
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
				pause(r)
			}
		}},
		{Name: "slow loris in the headers", Light: true, Says: late, Serve: raw(true, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Slow: "+strings.Repeat("x", 10_000))},
		{Name: "slow loris in the body", Light: true, Says: late, Serve: raw(true, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\""+strings.Repeat("x", 9000))},
		{Name: "no answer", Light: true, Says: late, Serve: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the server sees when the client goes
			<-r.Context().Done()
		}},
	}
	if rpc {
		list = append(list, Case{Name: "an answer to another request", Says: []string{"answered another request than ours"}, Serve: func(w http.ResponseWriter, r *http.Request) {
			var q struct {
				ID json.Number `json:"id"`
			}
			_ = json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&q)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s7,"result":"0x1"}`, q.ID)
		}})
	}
	return list
}

// bomb is 16 MiB of spaces as one gzip member; members may follow each other.
var bomb = func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 256 {
		_, _ = z.Write(bytes.Repeat([]byte(" "), 64<<10))
	}
	_ = z.Close()
	return b.Bytes()
}()

func flood(w http.ResponseWriter, begin, piece string, size int) {
	if _, err := io.WriteString(w, begin); err != nil {
		return
	}
	for n := 0; n < size; n += len(piece) {
		if _, err := io.WriteString(w, piece); err != nil {
			return
		}
	}
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, s)
	}
}

// raw answers with bytes on the bare connection, one by one when slow, and then closes its side.
func raw(slow bool, s string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		if !slow {
			_, _ = io.WriteString(conn, s)
			_ = conn.(*net.TCPConn).CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		for i := range len(s) {
			if _, err := conn.Write([]byte{s[i]}); err != nil {
				return
			}
			time.Sleep(drip)
		}
	}
}

const drip = 5 * time.Millisecond

func pause(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(drip):
	}
}

// Rewrite serves what a good node answers, changed by f, which is given the request (path, query and body) and the answer.
func Rewrite(well http.Handler, f func(request, answer string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		well.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			if k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(rec.Code)
		_, _ = io.WriteString(w, f(r.URL.RequestURI()+" "+string(body), rec.Body.String()))
	}
}
