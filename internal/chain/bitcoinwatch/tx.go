package bitcoinwatch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// hash is a double SHA-256 in the order of the bytes on the wire; people read it backwards.
type hash [32]byte

func (h hash) String() string {
	b := slices.Clone(h[:])
	slices.Reverse(b)
	return hex.EncodeToString(b)
}

func parseHash(s string) (h hash, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		return h, fmt.Errorf("%.70q is not a hash", s)
	}
	slices.Reverse(b)
	return hash(b), nil
}

func double(b []byte) hash {
	one := sha256.Sum256(b)
	return sha256.Sum256(one[:])
}

// outpoint is one output of a transaction.
type outpoint struct {
	tx hash
	n  uint32
}

func (o outpoint) String() string { return o.tx.String() + ":" + strconv.FormatUint(uint64(o.n), 10) }

func parseOutpoint(s string) (o outpoint, err error) {
	tx, n, ok := strings.Cut(s, ":")
	if o.tx, err = parseHash(tx); err != nil || !ok {
		return o, fmt.Errorf("%.80q is not an outpoint; write it like txid:0", s)
	}
	v, err := strconv.ParseUint(n, 10, 32)
	if err != nil {
		return o, fmt.Errorf("%.80q is not an outpoint; write it like txid:0", s)
	}
	o.n = uint32(v)
	return o, nil
}

type output struct {
	value  int64 // satoshi
	script []byte
}

type transaction struct {
	id   hash
	ins  []outpoint
	outs []output
}

func (t transaction) coinbase() bool {
	return len(t.ins) == 1 && t.ins[0].tx == hash{} && t.ins[0].n == 0xffffffff
}

var errShort = errors.New("the bytes end too early")

// reader reads the wire format; after an error everything is zero.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)-r.at) {
		r.err = errShort
		return nil
	}
	out := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return out
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) compact() uint64 {
	b := r.take(1)
	if b == nil {
		return 0
	}
	size := map[byte]uint64{0xfd: 2, 0xfe: 4, 0xff: 8}[b[0]]
	if size == 0 {
		return uint64(b[0])
	}
	var full [8]byte
	copy(full[:], r.take(size))
	return binary.LittleEndian.Uint64(full[:])
}

// count is how many things of at least size bytes follow.
func (r *reader) count(size int) int {
	n := r.compact()
	if n > uint64((len(r.b)-r.at)/size) {
		r.err = errShort
		return 0
	}
	return int(n)
}

// transaction reads one (BIP 144).
func (r *reader) transaction() transaction {
	var t transaction
	start := r.at
	r.take(4)
	witness := r.err == nil && len(r.b)-r.at >= 2 && r.b[r.at] == 0 && r.b[r.at+1] != 0
	if witness {
		r.take(2)
	}
	body := r.at
	for range r.count(41) {
		var o outpoint
		copy(o.tx[:], r.take(32))
		o.n = r.uint32()
		r.take(r.compact())
		r.take(4)
		t.ins = append(t.ins, o)
	}
	for range r.count(9) {
		var o output
		if b := r.take(8); b != nil {
			o.value = int64(binary.LittleEndian.Uint64(b))
		}
		o.script = r.take(r.compact())
		if o.value < 0 {
			r.err = errors.New("an output of less than nothing")
		}
		t.outs = append(t.outs, o)
	}
	end := r.at
	if witness {
		for range t.ins {
			for range r.count(1) {
				r.take(r.compact())
			}
		}
	}
	lock := r.take(4)
	if r.err == nil {
		t.id = double(slices.Concat(r.b[start:start+4], r.b[body:end], lock))
	}
	return t
}

func parseTransaction(text string) (transaction, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return transaction{}, fmt.Errorf("read a transaction: %w", err)
	}
	r := reader{b: raw}
	t := r.transaction()
	if r.err == nil && r.at != len(raw) {
		r.err = errors.New("there are bytes after it")
	}
	if r.err != nil {
		return t, fmt.Errorf("read a transaction: %w", r.err)
	}
	return t, nil
}

// parseBlock reads a block and proves it: its header has the hash that was asked for, and its transactions are all those of the header's
// Merkle root, so that a node can neither invent nor hold back one.
func parseBlock(text string, want hash) (previous hash, list []transaction, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) < 81 {
		return previous, nil, fmt.Errorf("read a block: %d characters are none: %w", len(text), errUntrusted)
	}
	if double(raw[:80]) != want {
		return previous, nil, errUntrusted
	}
	copy(previous[:], raw[4:36])
	r := reader{b: raw, at: 80}
	for range r.count(60) {
		list = append(list, r.transaction())
	}
	if r.err != nil {
		return previous, nil, fmt.Errorf("read a block: %w: %w", r.err, errUntrusted)
	}
	if root := merkle(list); root != hash(raw[36:68]) {
		return previous, nil, errUntrusted
	}
	return previous, list, nil
}

func merkle(list []transaction) hash {
	level := make([]hash, len(list))
	for i, t := range list {
		level[i] = t.id
	}
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		next := level[:0:len(level)]
		for i := 0; i < len(level); i += 2 {
			next = append(next, double(slices.Concat(level[i][:], level[i+1][:])))
		}
		level = next
	}
	if len(level) == 0 {
		return hash{}
	}
	return level[0]
}

// btc writes satoshi as decimal text.
func btc(sat int64) string {
	s := fmt.Sprintf("%d.%08d", sat/1e8, sat%1e8)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
