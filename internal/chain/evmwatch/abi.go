package evmwatch

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// signature is a function or event as people write it: "getReserves() returns (uint112, uint112, uint32)",
// "Deposit(address indexed token, uint256 amount)". Tuples are not taken.
type signature struct {
	name    string
	inputs  abi.Arguments
	outputs abi.Arguments
}

func parseSignature(text string) (signature, error) {
	var s signature
	text = strings.TrimSpace(text)
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(text, "function "), "event "))
	open, end := strings.IndexByte(text, '('), strings.IndexByte(text, ')')
	if open <= 0 || end < open || len(text) > 1000 {
		return s, fmt.Errorf("%q is not a signature; write it like totalAssets() returns (uint256)", text)
	}
	s.name = strings.TrimSpace(text[:open])
	if strings.ContainsFunc(s.name, func(r rune) bool {
		return r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return s, fmt.Errorf("%q is not the name of a function or event", s.name)
	}
	var err error
	if s.inputs, err = parseArguments(text[open+1 : end]); err != nil {
		return s, err
	}
	rest := strings.TrimSpace(text[end+1:])
	for _, word := range []string{"external", "public", "view", "pure"} {
		rest = strings.TrimSpace(strings.TrimPrefix(rest, word))
	}
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "returns"))
	if rest == "" {
		return s, nil
	}
	if rest[0] != '(' || strings.IndexByte(rest, ')') != len(rest)-1 {
		return s, fmt.Errorf("%q after the parameters is not understood; write returns (uint256)", rest)
	}
	s.outputs, err = parseArguments(rest[1 : len(rest)-1])
	return s, err
}

func parseArguments(text string) (abi.Arguments, error) {
	var out abi.Arguments
	if strings.TrimSpace(text) == "" {
		return out, nil
	}
	for _, part := range strings.Split(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			return nil, fmt.Errorf("there is a comma too much in (%s)", text)
		}
		kind := words[0]
		base := kind
		if i := strings.IndexByte(base, '['); i >= 0 {
			base = base[:i]
		}
		if base == "uint" || base == "int" { // the short names mean 256 bits
			kind = base + "256" + kind[len(base):]
		}
		if strings.HasPrefix(kind, "tuple") || strings.HasPrefix(kind, "(") || strings.HasPrefix(kind, "function") {
			return nil, fmt.Errorf("%q: structures are not read; choose a function with plain values", kind)
		}
		t, err := abi.NewType(kind, "", nil)
		if err != nil || t.String() != kind || !sound(t) {
			return nil, fmt.Errorf("%q is not a type of the ABI", words[0])
		}
		a := abi.Argument{Type: t}
		words = slices.DeleteFunc(words[1:], func(w string) bool {
			a.Indexed = a.Indexed || w == "indexed"
			return w == "indexed" || w == "memory" || w == "calldata" || w == "payable"
		})
		if len(words) > 1 {
			return nil, fmt.Errorf("%q is not a parameter; write a type and a name", strings.TrimSpace(part))
		}
		if len(words) == 1 {
			a.Name = words[0]
		}
		out = append(out, a)
	}
	if len(out) > 32 {
		return nil, fmt.Errorf("more than 32 parameters")
	}
	return out, nil
}

// sound refuses sizes that the ABI does not have and that go-ethereum lets pass.
func sound(t abi.Type) bool {
	switch t.T {
	case abi.UintTy, abi.IntTy:
		return t.Size >= 8 && t.Size <= 256 && t.Size%8 == 0
	case abi.FixedBytesTy:
		return t.Size >= 1 && t.Size <= 32
	case abi.ArrayTy:
		return t.Size >= 1 && t.Size <= 64 && sound(*t.Elem)
	case abi.SliceTy:
		return sound(*t.Elem)
	case abi.AddressTy, abi.BoolTy, abi.StringTy, abi.BytesTy:
		return true
	}
	return false
}

func (s signature) canonical() string {
	kinds := make([]string, len(s.inputs))
	for i, a := range s.inputs {
		kinds[i] = a.Type.String()
	}
	return s.name + "(" + strings.Join(kinds, ",") + ")"
}

func (s signature) topic() common.Hash { return crypto.Keccak256Hash([]byte(s.canonical())) }

func (s signature) selector() []byte { return crypto.Keccak256([]byte(s.canonical()))[:4] }

// parameter is the position of a parameter by its name or "#n", -1 when there is none.
func (s signature) parameter(name string) int {
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "#")); err == nil && strings.HasPrefix(name, "#") && n >= 0 && n < len(s.inputs) {
		return n
	}
	for i, a := range s.inputs {
		if a.Name != "" && a.Name == name {
			return i
		}
	}
	return -1
}

func newView(to common.Address, v View) (view, error) {
	s, err := parseSignature(v.Call)
	if err != nil {
		return view{}, err
	}
	switch {
	case len(s.outputs) == 0:
		return view{}, fmt.Errorf("%q does not say what it returns; write %s returns (uint256)", v.Call, s.canonical())
	case v.Output < 0 || v.Output >= len(s.outputs):
		return view{}, fmt.Errorf("there is no output %d; the outputs are numbered from 0 to %d", v.Output, len(s.outputs)-1)
	case !numeric(s.outputs[v.Output].Type):
		return view{}, fmt.Errorf("output %d is %s, which is no number", v.Output, s.outputs[v.Output].Type.String())
	case v.Decimals < 0 || v.Decimals > 77:
		return view{}, fmt.Errorf("%d decimals; write 0 to 77", v.Decimals)
	case len(v.Arguments) != len(s.inputs):
		return view{}, fmt.Errorf("%s takes %d arguments, %d are given", s.canonical(), len(s.inputs), len(v.Arguments))
	}
	values := make([]any, len(v.Arguments))
	for i, text := range v.Arguments {
		if values[i], err = value(s.inputs[i].Type, text); err != nil {
			return view{}, fmt.Errorf("argument %d: %w", i, err)
		}
	}
	packed, err := s.inputs.Pack(values...)
	if err != nil {
		return view{}, fmt.Errorf("arguments of %s: %w", s.canonical(), err)
	}
	return view{to: to, sig: s, input: append(s.selector(), packed...), output: v.Output}, nil
}

func numeric(t abi.Type) bool { return t.T == abi.UintTy || t.T == abi.IntTy || t.T == abi.BoolTy }

// value reads an argument that was written as text.
func value(t abi.Type, text string) (any, error) {
	text = strings.TrimSpace(text)
	bad := fmt.Errorf("%q is no %s", text, t.String())
	switch t.T {
	case abi.AddressTy:
		if addressForm.MatchString(text) {
			return common.HexToAddress(text), nil
		}
	case abi.BoolTy:
		if b, err := strconv.ParseBool(text); err == nil {
			return b, nil
		}
	case abi.StringTy:
		return text, nil
	case abi.BytesTy, abi.FixedBytesTy:
		raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil {
			return nil, bad
		}
		if t.T == abi.BytesTy {
			return raw, nil
		}
		if len(raw) != t.Size {
			return nil, bad
		}
		v := reflect.New(t.GetType()).Elem()
		reflect.Copy(v, reflect.ValueOf(raw))
		return v.Interface(), nil
	case abi.UintTy, abi.IntTy:
		n, ok := new(big.Int).SetString(text, 0)
		if !ok || (t.T == abi.UintTy && (n.Sign() < 0 || n.BitLen() > t.Size)) || (t.T == abi.IntTy && n.BitLen() >= t.Size) {
			return nil, bad
		}
		v := reflect.New(t.GetType()).Elem()
		switch v.Kind() {
		case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			v.SetUint(n.Uint64())
		case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			v.SetInt(n.Int64())
		default:
			return n, nil
		}
		return v.Interface(), nil
	}
	return nil, bad
}

// read takes the number out of an answer.
func (v view) read(data []byte) (*big.Int, error) {
	values, err := unpack(v.sig.outputs, data)
	if err != nil {
		return nil, err
	}
	n, ok := integer(values[v.output])
	if !ok {
		return nil, fmt.Errorf("output %d is no number", v.output)
	}
	return n, nil
}

// unpack decodes without trusting what a contract or a node wrote.
func unpack(args abi.Arguments, data []byte) (values []any, err error) {
	defer func() {
		if r := recover(); r != nil { // a decoder of foreign bytes must not end the program
			err = fmt.Errorf("decode %d bytes: %v", len(data), r)
		}
	}()
	values, err = args.UnpackValues(data)
	if err == nil && len(values) != len(args) {
		err = fmt.Errorf("%d values, not %d", len(values), len(args))
	}
	return values, err
}

func integer(v any) (*big.Int, bool) {
	switch n := v.(type) {
	case *big.Int:
		return n, n != nil
	case bool:
		if n {
			return big.NewInt(1), true
		}
		return new(big.Int), true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return new(big.Int).SetUint64(r.Uint()), true
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return big.NewInt(r.Int()), true
	}
	return nil, false
}

// text writes a decoded value as observations have it: addresses and bytes in lower-case hex, numbers in decimal.
func text(v any) string {
	if a, ok := v.(common.Address); ok {
		return lower(a)
	}
	if n, ok := integer(v); ok {
		if b, isBool := v.(bool); isBool {
			return strconv.FormatBool(b)
		}
		return n.String()
	}
	switch x := v.(type) {
	case string:
		return printable(x, 200)
	case []byte:
		if len(x) > 256 {
			x = crypto.Keccak256(x) // a long message is told by its digest
		}
		return "0x" + hex.EncodeToString(x)
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Array && r.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, r.Len())
		reflect.Copy(reflect.ValueOf(b), r)
		return "0x" + hex.EncodeToString(b)
	}
	return printable(fmt.Sprint(v), 200)
}

// units writes a number of the smallest units as decimal text of the token, exactly.
func units(n *big.Int, decimals int) string {
	if decimals <= 0 || decimals > 77 {
		return n.String()
	}
	s := n.String()
	if len(s) <= decimals {
		s = strings.Repeat("0", decimals-len(s)+1) + s
	}
	whole, part := s[:len(s)-decimals], strings.TrimRight(s[len(s)-decimals:], "0")
	if part == "" {
		return whole
	}
	return whole + "." + part
}

// float divides exactly, then rounds once.
func float(n *big.Int, decimals int) float64 {
	f, _ := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(min(max(decimals, 0), 77))), nil)).Float64()
	return f
}

func printable(s string, most int) string {
	out := []rune{}
	for _, r := range s {
		if r >= ' ' && r != 0x7f && r != 0xfffd && len(out) < most {
			out = append(out, r)
		}
	}
	return string(out)
}
