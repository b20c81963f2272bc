package dial

import (
	"strings"
	"testing"
)

// TestOperator: who answers at an address, as far as the address tells, and never a secret of it.
func TestOperator(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"http://10.0.0.7:8545", "10.0.0.7:8545"},
		{"http://10.0.0.7:9545", "10.0.0.7:9545"}, // another port is another process
		{"ws://10.0.0.7:8546", "10.0.0.7:8545"},   // but not the websocket of the same one
		{"http://10.0.0.7:8546", "10.0.0.7:8546"},
		{"https://node.example.org", "node.example.org:443"},
		{"wss://user:hunter2@Node.Example.org./v1/secretkey?token=x", "node.example.org:443"},
		{"http://node.example.org", "node.example.org:80"},
		{"http://localhost:8545", "127.0.0.1:8545"},
		{"http://[::1]:8545", "127.0.0.1:8545"},
		{"http://[::ffff:10.0.0.7]:8545", "10.0.0.7:8545"},
		{"http://[2001:db8:0::7]:8545", "[2001:db8::7]:8545"},
		{"https://eth-mainnet.g.alchemy.com/v2/one", "alchemy.com"},
		{"https://late-wild-sun.quiknode.pro/two/", "quiknode.pro"},
		{"https://notquiknode.pro/", "notquiknode.pro:443"},
		{"not an address", ""},
		{"://", ""},
		{"", ""},
	} {
		got := Operator(c.address)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.address, got, c.want)
		}
		if strings.Contains(got, "hunter2") || strings.Contains(got, "secretkey") || strings.Contains(got, "token") {
			t.Errorf("%s tells a secret: %q", c.address, got)
		}
	}
}

// TestEndpoint: the same door written in several ways is one, and two keys at one provider are two.
func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"http://localhost:8545", "http://127.0.0.1:8545/", true},
		{"http://127.0.0.1:8545", "ws://127.0.0.1:8545", true},
		{"https://Node.example.org", "https://node.example.org:443", true},
		{"https://rpc.example.org/key-one", "https://rpc.example.org/key-two", false},
		{"http://10.0.0.7:8545/?key=a", "http://10.0.0.7:8545/?key=b", false},
		{"http://10.0.0.7:8545", "http://10.0.0.7:8546", false},
		{"http://ana@10.0.0.7:8332", "http://ben@10.0.0.7:8332", false},
		{"http://ana:x@10.0.0.7:8332", "http://ana:y@10.0.0.7:8332", false},
		{"https://:key1@rpc.example.org/", "https://:key2@rpc.example.org/", false},
		{"https://:hunter2@rpc.example.org/", "https://:hunter2@rpc.example.org", true},
	} {
		if a, b := Endpoint(c.a), Endpoint(c.b); a == "" || b == "" || (a == b) != c.same {
			t.Errorf("%s and %s: %q and %q", c.a, c.b, a, b)
		}
		if strings.Contains(Endpoint(c.a), "hunter2") {
			t.Errorf("%s tells the password: %q", c.a, Endpoint(c.a))
		}
		if user := strings.Contains(c.a, "@"); user && Operator(c.a) != Operator(c.b) {
			t.Errorf("%s and %s are two voices", c.a, c.b)
		}
	}
	if e := Endpoint("no address"); e != "" {
		t.Errorf("%q", e)
	}
}
