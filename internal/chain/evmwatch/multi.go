package evmwatch

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

// call is one read of a contract, or of a balance of the coin when input is nil.
type call struct {
	to     common.Address
	input  []byte
	ok     bool
	output []byte
}

// multicall3 is at the same address on every chain that has it (https://github.com/mds1/multicall).
var multicall3 = common.HexToAddress("0xcA11bde05977b3631167028862bE2a173976CA11")

const (
	hasMulticall = "multicall"
	hasBlockHash = "calls by block hash" // EIP-1898
	callsMost    = 100                   // reads in one multicall
	outputMost   = 64 << 10              // bytes of one answer
)

// multicallABI is read when it is first needed: every start of the program would pay for it.
var multicallABI = sync.OnceValue(func() abi.ABI {
	parsed, err := abi.JSON(strings.NewReader(`[
	{"type":"function","name":"aggregate3","inputs":[{"name":"calls","type":"tuple[]","components":[{"name":"target","type":"address"},{"name":"allowFailure","type":"bool"},{"name":"callData","type":"bytes"}]}],
	 "outputs":[{"name":"returnData","type":"tuple[]","components":[{"name":"success","type":"bool"},{"name":"returnData","type":"bytes"}]}]},
	{"type":"function","name":"getEthBalance","inputs":[{"name":"addr","type":"address"}],"outputs":[{"name":"balance","type":"uint256"}]}]`))
	if err != nil {
		panic(err)
	}
	return parsed
})

type multicallIn struct {
	Target       common.Address
	AllowFailure bool
	CallData     []byte
}

// block names a block for eth_call: by hash, so that all answers speak of the same one; by height where a node does not take hashes.
func (w *Watcher) block(e seen) any {
	if w.line.has(hasBlockHash) {
		return map[string]any{"blockHash": e.hash}
	}
	return hexNumber(e.height)
}

// multi does the calls at one block: many in one eth_call where Multicall3 is deployed, else as a batch. A call that fails alone is not ok;
// the error is one of the whole, errNoBlock when the node does not have the block.
func (w *Watcher) multi(ctx context.Context, calls []*call, block any) error {
	for len(calls) > 0 {
		n := min(len(calls), callsMost)
		done, err := false, error(nil)
		if n > 1 && w.line.has(hasMulticall) {
			if done, err = w.aggregate(ctx, calls[:n], block); err != nil {
				return err
			}
		}
		if !done {
			if err := w.each(ctx, calls[:n], block); err != nil {
				return err
			}
		}
		calls = calls[n:]
	}
	return nil
}

// aggregate is one eth_call for all; false when the node, or the chain, does not do it.
func (w *Watcher) aggregate(ctx context.Context, calls []*call, block any) (bool, error) {
	in := make([]multicallIn, len(calls))
	for i, c := range calls {
		in[i] = multicallIn{c.to, true, c.input}
		if c.input == nil {
			data, err := multicallABI().Pack("getEthBalance", c.to)
			if err != nil {
				return false, err
			}
			in[i].Target, in[i].CallData = multicall3, data
		}
	}
	data, err := multicallABI().Pack("aggregate3", in)
	if err != nil {
		return false, err
	}
	var out hexutil.Bytes
	err = w.line.call(ctx, &out, "eth_call", map[string]any{"to": multicall3, "data": hexutil.Bytes(data)}, block)
	switch {
	case down(err):
		return false, err
	case noBlock(err):
		return false, errNoBlock
	case err != nil: // one greedy contract may use up the gas of all; alone it fails alone
		return false, nil
	}
	values, err := unpack(multicallABI().Methods["aggregate3"].Outputs, out)
	if err != nil || len(values) != 1 {
		w.line.lacks(hasMulticall)
		return false, nil
	}
	results, ok := values[0].([]struct {
		Success    bool   `json:"success"`
		ReturnData []byte `json:"returnData"`
	})
	if !ok || len(results) != len(calls) {
		w.line.lacks(hasMulticall)
		return false, nil
	}
	for i, c := range calls {
		c.ok, c.output = results[i].Success && len(results[i].ReturnData) > 0 && len(results[i].ReturnData) <= outputMost, results[i].ReturnData
	}
	return true, nil
}

// each does the calls one by one, in batches.
func (w *Watcher) each(ctx context.Context, calls []*call, block any) error {
	outputs := make([]hexutil.Bytes, len(calls))
	balances := make([]string, len(calls))
	batch := make([]rpc.BatchElem, len(calls))
	for i, c := range calls {
		batch[i] = rpc.BatchElem{Method: "eth_call", Args: []any{map[string]any{"to": c.to, "data": hexutil.Bytes(c.input)}, block}, Result: &outputs[i]}
		if c.input == nil {
			batch[i] = rpc.BatchElem{Method: "eth_getBalance", Args: []any{c.to, block}, Result: &balances[i]}
		}
	}
	if err := w.line.batch(ctx, batch); err != nil {
		return err
	}
	for i, c := range calls {
		err := batch[i].Error
		if noBlock(err) {
			return errNoBlock
		}
		c.ok, c.output = err == nil && len(outputs[i]) > 0 && len(outputs[i]) <= outputMost, outputs[i]
		if c.input == nil && err == nil {
			n, ok := new(big.Int).SetString(strings.TrimPrefix(balances[i], "0x"), 16)
			if c.ok = ok && n.Sign() >= 0 && n.BitLen() <= 256; c.ok {
				c.output = n.FillBytes(make([]byte, 32))
			}
		}
		if byHash(err) {
			w.line.lacks(hasBlockHash)
			return errNoBlock
		}
	}
	return nil
}

// noBlock tells whether a node says that it does not have the block. Nodes have no common code for it.
func noBlock(err error) bool {
	var rpcErr rpc.Error
	if !errors.As(err, &rpcErr) {
		return false
	}
	s := strings.ToLower(rpcErr.Error())
	for _, said := range []string{"header not found", "unknown block", "block not found", "not found for hash", "missing trie node", "blocknotfound", "resource not found", "state not available", "historical state"} {
		if strings.Contains(s, said) {
			return true
		}
	}
	return false
}

// byHash tells whether a node does not take a block's hash in a call.
func byHash(err error) bool {
	var rpcErr rpc.Error
	return errors.As(err, &rpcErr) && rpcErr.ErrorCode() == -32602
}
