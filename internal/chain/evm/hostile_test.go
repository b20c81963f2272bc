package evm

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestHostile: every way to misbehave over HTTP, and those of this family.
func TestHostile(t *testing.T) {
	n := newNode(t, 30)
	well := n.http.Handler
	swap := func(method, pattern, by string) http.HandlerFunc {
		re := regexp.MustCompile(pattern)
		return hostile.Rewrite(well, func(request, answer string) string {
			if !strings.Contains(request, method) {
				return answer
			}
			return re.ReplaceAllString(answer, by)
		})
	}
	number, hash, at := `"number":"0x[0-9a-f]+"`, `"hash":"0x[0-9a-f]+"`, `"timestamp":"0x[0-9a-f]+"`
	huge := "0x8" + strings.Repeat("0", 63)
	hostile.Try(t, hostile.Subject{Family: chain.EVM, ChainID: "1", RPC: true, Well: well,
		Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: node, ChainID: "1", URL: address, WS: "none", Poll: 50 * time.Millisecond, Timeout: hostile.Within(node), Rate: 1e6}, sink, nil).Run
		},
		Own: []hostile.Case{
			{Light: true, Name: "height 2^255", Says: []string{"no chain has so many blocks"}, Serve: swap("latest", number, `"number":"`+huge+`"`)},
			{Light: true, Name: "height 2^62", Says: []string{"no chain has so many blocks"}, Serve: swap("latest", number, `"number":"0x4000000000000000"`)},
			{Light: true, Name: "negative height", Says: []string{"no chain has so many blocks"}, Serve: swap("latest", number, `"number":"-0x5"`)},
			{Light: true, Name: "signed height", Says: []string{"no chain has so many blocks"}, Serve: swap("latest", number, `"number":"0x-5"`)},
			{Light: true, Name: "height as a number", Says: []string{"where that cannot be"}, Serve: swap("latest", number, `"number":29`)},
			{Light: true, Name: "no height", Says: []string{"no chain has so many blocks"}, Serve: swap("latest", number, `"number":null`)},
			{Light: true, Name: "time 2^62", Says: []string{"has the time"}, Serve: swap("latest", at, `"timestamp":"0x4000000000000000"`)},
			{Light: true, Name: "a hash of 1 MiB", Says: []string{"where at most 66 belong"}, Serve: swap("latest", hash, `"hash":"0x`+strings.Repeat("a", 1<<20)+`"`)},
			{Light: true, Name: "no hash", Says: []string{"has no hash of its own"}, Serve: swap("latest", hash, `"hash":""`)},
			{Light: true, Name: "a list as the block", Says: []string{"not with JSON", "where that cannot be"}, Serve: swap("latest", `(?s)"result":\{.*\}`, `"result":[1,2,3]}`)},
			{Light: true, Name: "no newest block", Says: []string{"has no newest block"}, Serve: swap("latest", `(?s)"result":\{.*\}`, `"result":null}`)},
			{Light: true, Name: "other blocks than asked for", Says: []string{"It was asked for block"}, Serve: swap("eth_getBlockByNumber\",\"params\":[\"0x", number, `"number":"0x3"`)},
			{Light: true, Name: "a chain id that is none", Says: []string{"no chain id"}, Serve: swap("eth_chainId", `"result":"0x1"`, `"result":"0x1; drop table"`)},
		}})
}

// TestHostileSocket: a websocket that sends frames of 100 MB, or heads without end, costs bounded memory, and heads go on by polling.
func TestHostileSocket(t *testing.T) {
	n := newNode(t, 30)
	for name, c := range map[string]struct{ head, piece string }{
		"frames of 100 MB":       {"", strings.Repeat("x", 64<<10)},
		"a flood of fat heads":   {`{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x1","hash":"0x` + strings.Repeat("a", 200<<10) + `"}}}`, ""},
		"a flood of empty heads": {`{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ws := socket(t, c.head, c.piece)
			before := hostile.Heap()
			w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1", WS: ws})
			w.until("first head", head(n.tip[len(n.tip)-1]))
			hash := n.mine("a", false)
			w.until("a head by polling", head(hash))
			peak := uint64(0)
			for range 15 {
				w.until("the head again", kind(chain.KindFees))
				peak = max(peak, hostile.Heap())
			}
			if peak > before+hostile.Most {
				t.Errorf("the heap grew by %d MiB", (peak-before)>>20)
			}
			t.Logf("heap %+d KiB", (int64(peak)-int64(before))>>10)
			if v := w.mon.View(0); v.Height < 30 {
				t.Errorf("height %d", v.Height)
			}
		})
	}
}

// socket is a websocket server that takes a subscription and then sends one frame of 100 MB made of piece, or head again and again.
func socket(t *testing.T, head, piece string) string {
	done := make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { upgrade(conn, head, piece) })
			serving.Go(func() { <-done; conn.Close() })
		}
	})
	t.Cleanup(func() { close(done); l.Close(); serving.Wait() })
	return "ws://" + l.Addr().String()
}

func upgrade(conn net.Conn, head, piece string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	for {
		q, err := readFrame(in)
		if err != nil {
			return
		}
		var call struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(q, &call) != nil {
			return
		}
		result := `{"number":"0x1d","hash":"0x1","parentHash":"0x0","timestamp":"0x1"}`
		if call.Method == "eth_subscribe" {
			result = `"0x1"`
		}
		writeFrame(conn, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, call.ID, result))
		if call.Method != "eth_subscribe" {
			continue
		}
		for piece == "" {
			if writeFrame(conn, head) != nil {
				return
			}
		}
		size := make([]byte, 10)
		size[0], size[1] = 0x81, 127
		binary.BigEndian.PutUint64(size[2:], 100<<20)
		_, err = conn.Write(size)
		for n := 0; n < 100<<20 && err == nil; n += len(piece) {
			_, err = io.WriteString(conn, piece)
		}
		return
	}
}

// readFrame reads a short masked frame.
func readFrame(in *bufio.Reader) ([]byte, error) {
	h := make([]byte, 2)
	if _, err := io.ReadFull(in, h); err != nil {
		return nil, err
	}
	n := int(h[1] & 127)
	if n == 126 {
		if _, err := io.ReadFull(in, h); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(h))
	}
	b := make([]byte, 4+n)
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, err
	}
	for i := range n {
		b[4+i] ^= b[i%4]
	}
	return b[4:], nil
}

func writeFrame(conn net.Conn, s string) error {
	h := []byte{0x81, 127, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint64(h[2:], uint64(len(s)))
	_, err := conn.Write(append(h, s...))
	return err
}
