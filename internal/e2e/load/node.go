package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ledger is one chain: block h exists from begun + h*interval on. It is a matter of arithmetic, so that serving it costs next to nothing.
type ledger struct {
	id       int
	bitcoin  bool
	begun    time.Time
	interval time.Duration
}

func (l ledger) height() int64 { return int64(time.Since(l.begun) / l.interval) }

func (l ledger) hash(h int64) string {
	if h < 0 {
		return strings.Repeat("0", 64)
	}
	return fmt.Sprintf("%08x%040x%016x", 0xa0000000+l.id, h*2654435761%1e9, h)
}

func (l ledger) heightOf(hash string) int64 {
	hash = strings.TrimPrefix(hash, "0x")
	if len(hash) != 64 {
		return -1
	}
	h, err := strconv.ParseInt(hash[48:], 16, 64)
	if err != nil || l.hash(h) != hash || h > l.height() {
		return -1
	}
	return h
}

func (l ledger) time(h int64) int64 { return l.begun.Add(time.Duration(h) * l.interval).Unix() }

// txs are what an ordinary block has: 150 transactions, of which a node tells the hashes.
var txs = func() string {
	var b strings.Builder
	for i := range 150 {
		fmt.Fprintf(&b, `,"0x%064x"`, i*7919)
	}
	return "[" + b.String()[1:] + "]"
}()

func (l ledger) evmBlock(h int64) string {
	if h < 0 || h > l.height() {
		return "null"
	}
	return fmt.Sprintf(`{"number":"0x%x","hash":"0x%s","parentHash":"0x%s","timestamp":"0x%x","gasUsed":"0xe4e1c0","gasLimit":"0x1c9c380","baseFeePerGas":"0x3b9aca00","size":"0x8000","miner":"0x%040x","transactions":%s}`,
		h, l.hash(h), l.hash(h-1), l.time(h), h%7, txs)
}

type call struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

func (c call) text(i int) string {
	if i >= len(c.Params) {
		return ""
	}
	return strings.Trim(string(c.Params[i]), `"`)
}

func (l ledger) evm(c call) string {
	switch c.Method {
	case "eth_chainId":
		return fmt.Sprintf(`"0x%x"`, 7_000_000+l.id)
	case "web3_clientVersion":
		return `"Load/v1"`
	case "eth_syncing":
		return `false`
	case "net_peerCount":
		return `"0x32"`
	case "txpool_status":
		return `{"pending":"0x64","queued":"0x5"}`
	case "eth_feeHistory":
		return `{"oldestBlock":"0x1","baseFeePerGas":["0x3b9aca00","0x3b9aca01"],"gasUsedRatio":[0.5],"reward":[["0x59682f00"]]}`
	case "eth_getBlockByHash":
		return l.evmBlock(l.heightOf(c.text(0)))
	case "eth_getBlockByNumber":
		switch tag := c.text(0); tag {
		case "latest":
			return l.evmBlock(l.height())
		case "safe":
			return l.evmBlock(l.height() - 32)
		case "finalized":
			return l.evmBlock(l.height() - 64)
		default:
			h, err := strconv.ParseInt(strings.TrimPrefix(tag, "0x"), 16, 64)
			if err != nil {
				h = -1
			}
			return l.evmBlock(h)
		}
	}
	return ""
}

func (l ledger) core(c call) string {
	h := l.height()
	switch c.Method {
	case "getblockchaininfo":
		return fmt.Sprintf(`{"chain":"regtest","blocks":%d,"headers":%d,"bestblockhash":"%s","initialblockdownload":false}`, h, h, l.hash(h))
	case "getbestblockhash":
		return `"` + l.hash(h) + `"`
	case "getblockhash":
		if at, err := strconv.ParseInt(c.text(0), 10, 64); err == nil && at <= h {
			return `"` + l.hash(at) + `"`
		}
	case "getblockheader":
		at := l.heightOf(c.text(0))
		if at >= 0 {
			return fmt.Sprintf(`{"hash":"%s","height":%d,"time":%d,"previousblockhash":"%s","chainwork":"%064x","nTx":2000,"confirmations":%d}`, l.hash(at), at, l.time(at), l.hash(at-1), at+1, h-at+1)
		}
	case "getchaintips":
		return fmt.Sprintf(`[{"height":%d,"hash":"%s","branchlen":0,"status":"active"}]`, h, l.hash(h))
	case "getmempoolinfo":
		return fmt.Sprintf(`{"size":5000,"bytes":%d,"mempoolminfee":0.00001,"minrelaytxfee":0.00001}`, 3_000_000+h%1000)
	case "getnetworkinfo":
		return `{"subversion":"/Satoshi:28.0.0/","connections":20,"connections_in":10,"connections_out":10}`
	case "getnetworkhashps":
		return `5e20`
	case "getblockstats":
		return `{"feerate_percentiles":[1,2,5,10,20],"totalfee":12000000}`
	}
	return ""
}

func (l ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	answer := l.evm
	if l.bitcoin {
		answer = l.core
	}
	one := func(c call) string {
		asked.Add(1)
		if c.Method == "getbestblockhash" || c.Method == "eth_getBlockByNumber" && c.text(0) == "latest" {
			heads.Add(1)
		}
		if a := answer(c); a != "" {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, c.ID, a)
		}
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"},"result":null}`, c.ID)
	}
	w.Header().Set("Content-Type", "application/json")
	if len(body) > 0 && body[0] == '[' {
		var list []call
		if json.Unmarshal(body, &list) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		out := make([]string, len(list))
		for i, c := range list {
			out[i] = one(c)
		}
		fmt.Fprint(w, "["+strings.Join(out, ",")+"]")
		return
	}
	var c call
	if json.Unmarshal(body, &c) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, one(c))
}
