package bitcoinwatch

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
)

// network is how addresses of one network are written.
type network struct {
	key, script byte   // version bytes of base58 addresses
	human       string // of bech32 addresses (BIP 173)
}

var networks = map[string]network{
	"main": {0x00, 0x05, "bc"}, "test": {0x6f, 0xc4, "tb"}, "testnet4": {0x6f, 0xc4, "tb"}, "signet": {0x6f, 0xc4, "tb"},
	"regtest": {0x6f, 0xc4, "bcrt"}, "simnet": {0x3f, 0x7b, "sb"},
}

// script is what an output to an address says. Also taken: "script:" and the script in hexadecimal.
func script(address string) ([]byte, error) {
	if text, ok := strings.CutPrefix(address, "script:"); ok {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) == 0 || len(b) > 10_000 {
			return nil, fmt.Errorf("%.40q is not a script in hexadecimal", text)
		}
		return b, nil
	}
	if version, program, err := segwit(address); err == nil {
		op := version
		if op > 0 {
			op += 0x50
		}
		return append([]byte{op, byte(len(program))}, program...), nil
	}
	b, err := base58(address)
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		switch b[0] {
		case n.key:
			return append(append([]byte{0x76, 0xa9, 20}, b[1:]...), 0x88, 0xac), nil
		case n.script:
			return append(append([]byte{0xa9, 20}, b[1:]...), 0x87), nil
		}
	}
	return nil, fmt.Errorf("%q is an address of no network that is known", address)
}

// address writes a script as an address of a network, or as "script:" and hexadecimal when it has none; "" when it can be spent by nobody.
func (n network) address(s []byte) string {
	switch {
	case len(s) == 0 || s[0] == 0x6a:
		return ""
	case len(s) == 25 && bytes.HasPrefix(s, []byte{0x76, 0xa9, 20}) && bytes.HasSuffix(s, []byte{0x88, 0xac}):
		return base58Text(append([]byte{n.key}, s[3:23]...))
	case len(s) == 23 && s[0] == 0xa9 && s[1] == 20 && s[22] == 0x87:
		return base58Text(append([]byte{n.script}, s[2:22]...))
	case len(s) >= 4 && len(s) <= 42 && int(s[1]) == len(s)-2 && (s[0] == 0 || (s[0] >= 0x51 && s[0] <= 0x60)):
		version := s[0]
		if version > 0 {
			version -= 0x50
		}
		return segwitText(n.human, version, s[2:])
	case len(s) > 80:
		s = s[:80]
	}
	return "script:" + hex.EncodeToString(s)
}

const letters58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

func base58(text string) ([]byte, error) {
	bad := fmt.Errorf("%.100q is not a Bitcoin address", text)
	if len(text) < 25 || len(text) > 40 {
		return nil, bad
	}
	n := new(big.Int)
	for _, r := range text {
		d := strings.IndexRune(letters58, r)
		if d < 0 {
			return nil, bad
		}
		n.Add(n.Mul(n, big.NewInt(58)), big.NewInt(int64(d)))
	}
	if n.BitLen() > 25*8 {
		return nil, bad
	}
	b := n.FillBytes(make([]byte, 25))
	sum := double(b[:21])
	if !bytes.Equal(sum[:4], b[21:]) || base58Text(b[:21]) != text {
		return nil, fmt.Errorf("%q has a typing error: its check sum is wrong", text)
	}
	return b[:21], nil
}

func base58Text(b []byte) string {
	sum := double(b)
	b = append(b[:len(b):len(b)], sum[:4]...)
	n, digit := new(big.Int).SetBytes(b), new(big.Int)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, big.NewInt(58), digit)
		out = append(out, letters58[digit.Int64()])
	}
	for _, x := range b {
		if x != 0 {
			break
		}
		out = append(out, '1')
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

const letters32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// polymod is the check sum of BIP 173; a sum of 1 is bech32, of 0x2bc830a3 bech32m (BIP 350).
func polymod(human string, data []byte) uint32 {
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for i := range len(human) {
		step(human[i] >> 5)
	}
	step(0)
	for i := range len(human) {
		step(human[i] & 31)
	}
	for _, v := range data {
		step(v)
	}
	return sum
}

func constant(version byte) uint32 {
	if version == 0 {
		return 1
	}
	return 0x2bc830a3
}

func segwit(text string) (version byte, program []byte, err error) {
	bad := fmt.Errorf("%.100q is not a Bitcoin address", text)
	if strings.ToLower(text) != text && strings.ToUpper(text) != text {
		return 0, nil, bad
	}
	text = strings.ToLower(text)
	i := strings.LastIndexByte(text, '1')
	if i < 1 || len(text)-i < 8 || len(text) > 90 {
		return 0, nil, bad
	}
	known := false
	for _, n := range networks {
		known = known || n.human == text[:i]
	}
	if !known {
		return 0, nil, bad
	}
	data := make([]byte, 0, len(text)-i)
	for _, r := range text[i+1:] {
		d := strings.IndexRune(letters32, r)
		if d < 0 {
			return 0, nil, bad
		}
		data = append(data, byte(d))
	}
	version = data[0]
	if version > 16 || polymod(text[:i], data) != constant(version) {
		return 0, nil, bad
	}
	program, ok := regroup(data[1:len(data)-6], 5, 8, false)
	if !ok || len(program) < 2 || len(program) > 40 || (version == 0 && len(program) != 20 && len(program) != 32) {
		return 0, nil, bad
	}
	return version, program, nil
}

func segwitText(human string, version byte, program []byte) string {
	groups, _ := regroup(program, 8, 5, true)
	data := append([]byte{version}, groups...)
	sum := polymod(human, append(data[:len(data):len(data)], 0, 0, 0, 0, 0, 0)) ^ constant(version)
	for i := range 6 {
		data = append(data, byte(sum>>(5*(5-i)))&31)
	}
	out := make([]byte, len(data))
	for i, d := range data {
		out[i] = letters32[d]
	}
	return human + "1" + string(out)
}

func regroup(in []byte, from, to uint, pad bool) ([]byte, bool) {
	var out []byte
	var acc, bits uint
	for _, b := range in {
		acc = (acc<<from | uint(b)) & 0xfff
		for bits += from; bits >= to; {
			bits -= to
			out = append(out, byte(acc>>bits&(1<<to-1)))
		}
	}
	if pad {
		if bits > 0 {
			out = append(out, byte(acc<<(to-bits)&(1<<to-1)))
		}
		return out, true
	}
	return out, bits < from && acc&(1<<bits-1) == 0
}
