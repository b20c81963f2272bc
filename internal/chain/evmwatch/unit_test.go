package evmwatch

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

const (
	one = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
	two = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
)

func TestSignatures(t *testing.T) {
	for _, c := range []struct{ text, canonical, outputs, err string }{
		{"totalAssets() returns (uint256)", "totalAssets()", "uint256", ""},
		{"getReserves()(uint112,uint112,uint32)", "getReserves()", "uint112 uint112 uint32", ""},
		{"function balanceOf(address who) external view returns (uint balance)", "balanceOf(address)", "uint256", ""},
		{"f(uint[] a, bytes32[2] memory b)(int)", "f(uint256[],bytes32[2])", "int256", ""},
		{"event Deposited(address indexed token, uint256 amount)", "Deposited(address,uint256)", "", ""},
		{"totalAssets", "", "", "is not a signature"},
		{"(uint256)", "", "", "is not a signature"},
		{"f(uint257)", "", "", "no type|not a type"},
		{"f(uint7)", "", "", "not a type"},
		{"f(bytes33)", "", "", "not a type"},
		{"f((uint256,address) x)", "", "", "structures|not a type"},
		{"f(tuple x)", "", "", "structures"},
		{"f(uint256,)", "", "", "comma too much"},
		{"f(uint256 a b)", "", "", "not a parameter"},
		{"f-g()", "", "", "not the name"},
		{"f() gives (uint256)", "", "", "not understood"},
		{"f(" + strings.Repeat("uint256,", 40) + "bool)", "", "", "more than 32"},
	} {
		s, err := parseSignature(c.text)
		if c.err != "" {
			ok := false
			for _, part := range strings.Split(c.err, "|") {
				ok = ok || (err != nil && strings.Contains(err.Error(), part))
			}
			if !ok {
				t.Errorf("%s: %v, want %q", c.text, err, c.err)
			}
			continue
		}
		var outputs []string
		for _, o := range s.outputs {
			outputs = append(outputs, o.Type.String())
		}
		if err != nil || s.canonical() != c.canonical || strings.Join(outputs, " ") != c.outputs {
			t.Errorf("%s: %s %v %v", c.text, s.canonical(), outputs, err)
		}
	}
}

func TestSpecRefusals(t *testing.T) {
	view := func(v View) Spec { v.Name, v.Contract = "v", one; return Spec{Views: []View{v}} }
	event := func(e Event) Spec {
		e.Contract = one
		return Spec{Bridges: []Bridge{{Name: "b", Events: []Event{e}}}}
	}
	const deposited = "Deposited(address indexed token, uint256 amount)"
	for _, c := range []struct {
		spec Spec
		err  string
	}{
		{Spec{Addresses: []Address{{Name: "a", Address: one}, {Name: "b", Address: strings.ToLower(one)}}}, "watched twice"},
		{Spec{Addresses: []Address{{Name: "a", Address: one}, {Name: "a", Address: two}}}, "two of address a"},
		{Spec{Addresses: []Address{{Name: "", Address: one}}}, "needs a name"},
		{Spec{Tokens: []Token{{Asset: Asset{Name: "T"}, Address: "T"}}}, "is not an address"},
		{view(View{Call: "f(address) returns (uint256)"}), "takes 1 arguments, 0 are given"},
		{view(View{Call: "f(address) returns (uint256)", Arguments: []string{"me"}}), "is no address"},
		{view(View{Call: "f(uint8) returns (uint256)", Arguments: []string{"256"}}), "is no uint8"},
		{view(View{Call: "f(int8) returns (uint256)", Arguments: []string{"128"}}), "is no int8"},
		{view(View{Call: "f(bytes4) returns (uint256)", Arguments: []string{"0x0102"}}), "is no bytes4"},
		{view(View{Call: "f() returns (string)"}), "which is no number"},
		{view(View{Call: "f() returns (uint256)", Output: 1}), "there is no output 1"},
		{view(View{Call: "f() returns (uint256)", Decimals: 78}), "78 decimals"},
		{event(Event{Event: deposited}), "not said which parameter is the amount"},
		{event(Event{Event: deposited, Amount: "value"}), `no parameter "value"`},
		{event(Event{Event: deposited, Amount: "token"}), "is no unsigned number"},
		{event(Event{Event: deposited, Amount: "#1", Token: "asset"}), `no parameter "asset" for the token`},
		{event(Event{Event: deposited + " returns (bool)", Amount: "amount"}), "so it is no event"},
		{event(Event{Event: deposited, Amount: "#1", Token: "#0", Message: "#2"}), `no parameter "#2" for the message`},
	} {
		if err := c.spec.Check(); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.err)
		}
	}
	good := view(View{Call: "f(bool,bytes,string,bytes2,uint64,int16) returns (int256)", Arguments: []string{"true", "0x01", "x", "0x0102", "7", "-7"}})
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	if err := event(Event{Event: deposited, Amount: "#1", Token: "coin"}).Check(); err != nil {
		t.Error(err)
	}
}

func TestSlots(t *testing.T) { // as EIP-1967 prints them
	for i, want := range []string{"0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc", "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103", "0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50"} {
		if got := slots[i].at.Hex(); got != want {
			t.Errorf("%s: %s", slots[i].change, got)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		raw      string
		decimals int
		want     string
	}{{"0", 18, "0"}, {"1", 18, "0.000000000000000001"}, {"202440725413", 6, "202440.725413"}, {"1000000", 6, "1"}, {"5", 0, "5"}, {"5", -1, "5"},
		{"115792089237316195423570985008687907853269984665640564039457584007913129639935", 18, "115792089237316195423570985008687907853269984665640564039457.584007913129639935"}} {
		n, _ := new(big.Int).SetString(c.raw, 10)
		if got := units(n, c.decimals); got != c.want || !observation.Decimal(got) {
			t.Errorf("%s with %d decimals: %s", c.raw, c.decimals, got)
		}
	}
}

// TestBloom: a block that holds a log for a filter is never ruled out, and one whose logs were held back does not explain its bloom.
func TestBloom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.Custom(func(t *rapid.T) common.Hash {
			return crypto.Keccak256Hash([]byte(fmt.Sprint(rapid.IntRange(0, 300).Draw(t, "word"))))
		})
		var logs []entry
		var b bloom
		for range rapid.IntRange(1, 20).Draw(t, "logs") {
			l := entry{Address: common.BytesToAddress(word.Draw(t, "address").Bytes())}
			b.add(l.Address[:])
			for range rapid.IntRange(1, 4).Draw(t, "topics") {
				h := word.Draw(t, "topic")
				l.Topics = append(l.Topics, h)
				b.add(h[:])
			}
			logs = append(logs, l)
		}
		l := logs[rapid.IntRange(0, len(logs)-1).Draw(t, "which")]
		f := filter{addresses: []common.Address{l.Address}, topics: [][]common.Hash{{}, {l.Topics[len(l.Topics)-1]}}}
		if len(l.Topics) == 2 && (!f.fits(l) || !b.maybe(f)) {
			t.Fatal("a log that is there was ruled out")
		}
		if !explains(logs, &b) {
			t.Fatal("all logs do not explain the bloom")
		}
		if explains(nil, &b) {
			t.Fatal("no logs explain a bloom")
		}
	})
}

// TestAdminEvents: every event that those who own a contract emit is told, also with the parameters indexed otherwise, as Safe 1.4 does.
func TestAdminEvents(t *testing.T) {
	p, err := newPlan(Spec{Contracts: []Contract{{Name: "c", Address: one}, {Name: "safe", Address: two, Executions: true}}})
	if err != nil {
		t.Fatal(err)
	}
	addr := func(n byte) string { return strings.Repeat("0", 62) + fmt.Sprintf("%02x", n) }
	hash := func(s string) common.Hash { return crypto.Keccak256Hash([]byte(s)) }
	for _, c := range []struct {
		event, contract       string
		topics, data          []string
		change, before, after string
	}{
		{"OwnershipTransferred(address,address)", one, []string{addr(1), addr(2)}, nil, "owner", "1", "2"},
		{"Upgraded(address)", one, []string{addr(3)}, nil, "implementation", "", "3"},
		{"AdminChanged(address,address)", one, nil, []string{addr(1), addr(2)}, "proxy admin", "1", "2"},
		{"BeaconUpgraded(address)", one, []string{addr(3)}, nil, "beacon", "", "3"},
		{"RoleGranted(bytes32,address,address)", one, []string{addr(0), addr(4), addr(5)}, nil, "role granted", "bytes0", "4"},
		{"RoleRevoked(bytes32,address,address)", one, []string{addr(0), addr(4), addr(5)}, nil, "role revoked", "4", "bytes0"},
		{"Paused(address)", one, nil, []string{addr(6)}, "paused", "", "6"},
		{"Unpaused(address)", one, nil, []string{addr(6)}, "unpaused", "", "6"},
		{"AddedOwner(address)", two, nil, []string{addr(7)}, "safe owner added", "", "7"},
		{"AddedOwner(address)", two, []string{addr(7)}, nil, "safe owner added", "", "7"},
		{"RemovedOwner(address)", two, []string{addr(7)}, nil, "safe owner removed", "7", ""},
		{"ChangedThreshold(uint256)", two, nil, []string{addr(2)}, "safe threshold", "", "n2"},
		{"ChangedMasterCopy(address)", two, nil, []string{addr(8)}, "safe master copy", "", "8"},
		{"ExecutionSuccess(bytes32,uint256)", two, nil, []string{addr(9), addr(0)}, "safe execution", "", "bytes9"},
		{"ExecutionSuccess(bytes32,uint256)", two, []string{addr(9)}, []string{addr(0)}, "safe execution", "", "bytes9"},
		{"ExecutionSuccess(bytes32,uint256)", one, nil, []string{addr(9), addr(0)}, "", "", ""}, // not asked for
		{"Upgraded(address)", "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0", []string{addr(3)}, nil, "", "", ""},
		{"Upgraded(address)", one, nil, []string{"00"}, "", "", ""}, // not what its name says
	} {
		l := entry{Address: common.HexToAddress(c.contract), Topics: []common.Hash{hash(c.event)}, Data: hexutil.MustDecode("0x" + strings.Join(c.data, ""))}
		for _, x := range c.topics {
			l.Topics = append(l.Topics, common.HexToHash(x))
		}
		want := func(s string) string {
			switch {
			case s == "":
				return ""
			case strings.HasPrefix(s, "bytes"):
				return "0x" + strings.Repeat("0", 63) + s[5:]
			case s[0] == 'n':
				return s[1:]
			}
			return "0x" + strings.Repeat("0", 39) + s
		}
		d, ok := p.decode(l, nil)
		if ok != (c.change != "") || (ok && (d.o.Change != c.change || d.o.Before != want(c.before) || d.o.After != want(c.after) || d.o.Contract != strings.ToLower(c.contract))) {
			t.Errorf("%s %v: %t %+v", c.event, c.topics, ok, d.o)
		}
	}
}

// TestSymbols: what a token calls itself is a stranger's text.
func TestSymbols(t *testing.T) {
	text := func(s string) []byte {
		b := append(make([]byte, 31), 32)
		b = append(b, common.LeftPadBytes(big.NewInt(int64(len(s))).Bytes(), 32)...)
		return append(b, common.RightPadBytes([]byte(s), (len(s)+31)/32*32)...)
	}
	for _, c := range []struct {
		raw  []byte
		want string
	}{
		{text("USDC"), "USDC"}, {text("<script>alert(1)</script>"), "<script>alert(1)"}, {text("a\n\x00b\u202e"), "ab\u202e"}, {common.RightPadBytes([]byte("MKR"), 32), "MKR"},
		{nil, ""}, {make([]byte, 64), ""}, {append(make([]byte, 32), common.LeftPadBytes([]byte{0xff, 0xff}, 32)...), ""}, {append(make([]byte, 32), common.MaxHash[:]...), ""},
	} {
		if got := symbol(c.raw); got != c.want {
			t.Errorf("%x: %q, want %q", c.raw, got, c.want)
		}
	}
}

// FuzzLog: no log of a strange node or contract stops the program, and what is told of it is sound.
func FuzzLog(f *testing.F) {
	p, err := newPlan(Spec{
		Addresses: []Address{{Name: "a", Address: two, Transfers: true}}, Contracts: []Contract{{Name: "c", Address: one}},
		Bridges: []Bridge{{Name: "b", Events: []Event{{Contract: one, Event: "Sent(bytes message, string[] names, uint256 amount, bytes32 token)", Amount: "amount", Token: "token", Message: "message"}}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	sent := crypto.Keccak256Hash([]byte("Sent(bytes,string[],uint256,bytes32)"))
	for _, topic := range []common.Hash{sent, topicTransfer, topicAnswer} {
		f.Add([]byte(fmt.Sprintf(`{"address":"%s","topics":["%s"],"data":"0x%s"}`, one, topic, strings.Repeat("00", 128))))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var l entry
		if json.Unmarshal(raw, &l) != nil {
			return
		}
		d, ok := p.decode(l, map[common.Address]int{})
		if !ok {
			return
		}
		w := Watcher{plan: p, cfg: Config{}}
		if d.raw != nil {
			w.value(&d.o, d.raw, d.token)
		}
		d.o.Chain = "c"
		if err := d.o.Check(); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	})
}
