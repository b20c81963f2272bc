package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// rpc is one node's JSON-RPC.
type rpc struct {
	t          testing.TB
	url        string
	user, pass string
}

func (r rpc) try(method string, params []any, out any) error {
	if params == nil {
		params = []any{}
	}
	body, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	req, err := http.NewRequest("POST", r.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if r.user != "" {
		req.SetBasicAuth(r.user, r.pass)
	}
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var m struct {
		Result json.RawMessage
		Error  any
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("%s: %w in %s", method, err, b)
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %v", method, m.Error)
	}
	if out != nil {
		return json.Unmarshal(m.Result, out)
	}
	return nil
}

func (r rpc) do(method string, out any, params ...any) {
	r.t.Helper()
	if err := r.try(method, params, out); err != nil {
		r.t.Fatal(err)
	}
}

// evmHead is a block as EVM nodes tell of it.
type evmHead struct{ Number, Hash, ParentHash string }

func (r rpc) block(tag string) evmHead {
	r.t.Helper()
	var h evmHead
	r.do("eth_getBlockByNumber", &h, tag, false)
	return h
}

func (h evmHead) height() (n int64) { _, _ = fmt.Sscanf(h.Number, "0x%x", &n); return n }

// anvil is a real EVM node that mines when it is told.
type anvil struct {
	rpc
	port string
	args []string
	run  *child
}

func startAnvil(t testing.TB, args ...string) *anvil {
	t.Helper()
	a := &anvil{port: freePort(t), args: args}
	a.rpc = rpc{t: t, url: "http://127.0.0.1:" + a.port}
	a.up()
	return a
}

func (a *anvil) up() {
	a.t.Helper()
	a.run = spawn(a.t, "anvil", tool(a.t, "anvil"), nil, append([]string{"--host", "127.0.0.1", "--port", a.port, "--quiet"}, a.args...)...)
	until(a.t, "anvil answers", patience, func() (bool, string) {
		err := a.try("eth_blockNumber", nil, nil)
		return err == nil, fmt.Sprint(err)
	})
}

func (a *anvil) mine(n int) {
	a.t.Helper()
	for range n {
		a.do("evm_mine", nil)
	}
}

// btcd is a real Bitcoin node on simnet.
type btcd struct {
	rpc
	p2p, port, dir string
	run            *child
}

func startBtcd(t testing.TB) *btcd {
	t.Helper()
	b := &btcd{p2p: freePort(t), port: freePort(t), dir: t.TempDir()}
	b.rpc = rpc{t: t, url: "http://127.0.0.1:" + b.port, user: "u", pass: "p"}
	b.up()
	return b
}

func (b *btcd) up() {
	b.t.Helper()
	b.run = spawn(b.t, "btcd", tool(b.t, "btcd"), nil, "--configfile=/dev/null", "--simnet", "--datadir="+b.dir, "--logdir="+b.dir+"/log", "--rpcuser=u", "--rpcpass=p",
		"--rpclisten=127.0.0.1:"+b.port, "--listen=127.0.0.1:"+b.p2p, "--notls", "--txindex", "--miningaddr=SeJi8vT561XXYyP4jg1fWFFxLiM62PXfdN")
	until(b.t, "btcd answers", patience, func() (bool, string) {
		err := b.try("getblockcount", nil, nil)
		return err == nil, fmt.Sprint(err)
	})
}

func (b *btcd) height() (n int64) {
	b.t.Helper()
	b.do("getblockcount", &n)
	return n
}

func (b *btcd) hash(height int64) (h string) {
	b.t.Helper()
	b.do("getblockhash", &h, height)
	return h
}

// meets connects two nodes and waits until they agree; parts cuts them apart.
func (b *btcd) meets(o *btcd) {
	b.t.Helper()
	b.do("addnode", nil, "127.0.0.1:"+o.p2p, "onetry")
	tried := time.Now()
	until(b.t, "the two btcd agree", patience, func() (bool, string) {
		if time.Since(tried) > 5*time.Second { // one try may be lost on a busy machine
			tried = time.Now()
			_ = b.try("addnode", []any{"127.0.0.1:" + o.p2p, "onetry"}, nil)
		}
		h := b.height()
		if o.height() != h {
			return false, fmt.Sprint(h, " ", o.height())
		}
		return b.hash(h) == o.hash(h), fmt.Sprint("both at ", h)
	})
}

func (b *btcd) parts(o *btcd) {
	b.t.Helper()
	_ = b.try("node", []any{"disconnect", "127.0.0.1:" + o.p2p}, nil)
	until(b.t, "the two btcd are apart", patience, func() (bool, string) {
		var mine, theirs []any
		b.do("getpeerinfo", &mine)
		o.do("getpeerinfo", &theirs)
		return len(mine)+len(theirs) == 0, fmt.Sprint(mine, theirs)
	})
}

// cable is the network between a browser, or the program, and a server. Pulled,
// it carries nothing and tells nobody, as networks do.
type cable struct {
	t    testing.TB
	l    net.Listener
	to   string
	gate chan struct{} // holds one token while plugged in
}

func newCable(t testing.TB, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{t: t, l: l, to: to, gate: make(chan struct{}, 1)}
	c.gate <- struct{}{}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(a)
		}
	}()
	return c
}

func (c *cable) addr() string { return c.l.Addr().String() }

// pull stops everything; plug lets it go on.
func (c *cable) pull() { <-c.gate }
func (c *cable) plug() { c.gate <- struct{}{} }

func (c *cable) pass() {
	<-c.gate
	c.gate <- struct{}{}
}

func (c *cable) carry(a net.Conn) {
	defer a.Close()
	c.pass()
	b, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer b.Close()
	done := make(chan struct{}, 2)
	flow := func(from, to net.Conn) {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			c.pass()
			if n > 0 {
				if _, werr := to.Write(buf[:n]); werr != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go flow(a, b)
	go flow(b, a)
	<-done
}
