package bitcoinwatch

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain: no watcher and no connection outlives its Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAddresses: well-known addresses (genesis, BIP 173, BIP 350) are read and written back, typing errors are refused.
func TestAddresses(t *testing.T) {
	for _, c := range []struct{ net, address, script string }{
		{"main", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"},
		{"main", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"},
		{"test", "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262"},
		{"main", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"},
		{"simnet", "SeJi8vT561XXYyP4jg1fWFFxLiM62PXfdN", "76a914ba9c736f19e7f60b7f6764adb0b7908c0a2b394e88ac"},
	} {
		s, err := script(c.address)
		if err != nil {
			t.Errorf("%s: %v", c.address, err)
			continue
		}
		if got := hexText(s); got != c.script {
			t.Errorf("%s is %s, want %s", c.address, got, c.script)
		}
		if got := networks[c.net].address(s); got != c.address {
			t.Errorf("%s came back as %s", c.address, got)
		}
		wrong := []byte(c.address)
		wrong[len(wrong)-3]++
		if _, err := script(string(wrong)); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
	for _, bad := range []string{"", "script:", "script:zz", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4x", "xx1qw508d6qejxtdg4y5r3zarvary0c5xw7k7grplx", strings.Repeat("1", 40), "0x5FbDB2315678afecb367f032d93F642f64180aa3"} {
		if _, err := script(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if got := networks["main"].address([]byte{0x6a, 1, 2}); got != "" {
		t.Errorf("an output that nobody can spend is %q", got)
	}
}

func hexText(b []byte) string {
	const d = "0123456789abcdef"
	var s strings.Builder
	for _, x := range b {
		s.WriteByte(d[x>>4])
		s.WriteByte(d[x&15])
	}
	return s.String()
}

// A block of btcd 0.26.2 on simnet.
const (
	simBlock = "00000020da69e24e643b410837083c3b6a49e6608c1038b40647b1a9c4a26a246707a43d558d539e6065a1ce1d0c1ab19d54e22335a68928ef42b1a754b96922e714bcb68919016bffff7f20030000000101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff165308332e2f00dde03c4f0b2f503253482f627463642fffffffff0100f2052a010000001976a914ba9c736f19e7f60b7f6764adb0b7908c0a2b394e88ac00000000"
	simHash  = "587c39e722f1362a10e55ae1768f2e920c9184bb40fe34ab23d217c37db3f48b"
	simTx    = "b6bc14e72269b954a7b142ef2889a63523e2549db11a0c1dcea165609e538d55"
)

// TestBlockIsProven: a block is what its hash says or it is not believed, whichever byte a node changes.
func TestBlockIsProven(t *testing.T) {
	want, err := parseHash(simHash)
	if err != nil {
		t.Fatal(err)
	}
	previous, list, err := parseBlock(simBlock, want)
	if err != nil || len(list) != 1 || list[0].id.String() != simTx || list[0].outs[0].value != 50e8 || !list[0].coinbase() {
		t.Fatalf("%v %+v", err, list)
	}
	if previous.String() != "3da40767246aa2c4a9b14706b438108c60e6496a3b3c083708413b644ee269da" {
		t.Errorf("previous %s", previous)
	}
	for i := 0; i < len(simBlock); i += 2 {
		b := []byte(simBlock)
		b[i] = map[bool]byte{true: '1', false: '0'}[b[i] == '0']
		if _, _, err := parseBlock(string(b), want); !errors.Is(err, errUntrusted) {
			t.Fatalf("byte %d changed: %v", i/2, err)
		}
		if _, _, err := parseBlock(simBlock[:i], want); !errors.Is(err, errUntrusted) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// TestSegwitTransaction: the id leaves the witness out (BIP 144).
func TestSegwitTransaction(t *testing.T) {
	plain := simBlock[162:]
	last := len(plain) - 8
	witness := plain[:8] + "0001" + plain[8:last] + "0120" + strings.Repeat("ab", 32) + plain[last:]
	for _, text := range []string{plain, witness} {
		x, err := parseTransaction(text)
		if err != nil || x.id.String() != simTx {
			t.Errorf("%v, id %s", err, x.id)
		}
		for i := 0; i < len(text); i += 2 {
			if _, err := parseTransaction(text[:i]); err == nil {
				t.Fatalf("cut at %d it was taken", i)
			}
		}
	}
	if _, err := parseTransaction(plain + "00"); err == nil {
		t.Error("bytes after it were taken")
	}
}

func TestAmounts(t *testing.T) {
	for sat, text := range map[int64]string{0: "0", 1: "0.00000001", 5_000_000_000: "50", 123_450_000: "1.2345"} {
		if got := btc(sat); got != text {
			t.Errorf("%d is %s, want %s", sat, got, text)
		}
		if got, ok := satoshi(text); !ok || got != sat {
			t.Errorf("%s is %d", text, got)
		}
	}
	for _, bad := range []string{"", "-1", "1/3", "0.000000001", "1e999999", "NaN"} {
		if _, ok := satoshi(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzTransaction(f *testing.F) {
	f.Add(simBlock[162:])
	f.Fuzz(func(t *testing.T, text string) {
		if x, err := parseTransaction(text); err == nil && len(x.ins)*41+len(x.outs)*9 > len(text) {
			t.Fatalf("%d inputs and %d outputs of %d characters", len(x.ins), len(x.outs), len(text))
		}
	})
}

func TestSpecs(t *testing.T) {
	ok := Address{"a", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}
	for _, c := range []struct {
		spec Spec
		err  string
	}{
		{Spec{Addresses: []Address{ok}, Outpoints: []string{simTx + ":0"}}, ""},
		{Spec{Addresses: []Address{ok, {"b", ok.Address}}}, "watched once"},
		{Spec{Addresses: []Address{ok, {"a", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}}}, "name of its own"},
		{Spec{Addresses: []Address{{"a", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"}}}, "check sum"},
		{Spec{Outpoints: []string{simTx}}, "write it like txid:0"},
	} {
		if err := c.spec.Check(); (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.err)
		}
	}
}
