package observation_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

func TestLines(t *testing.T) {
	for _, c := range []struct{ line, err string }{
		{`{"at":"2022-08-01T21:32:31.000Z","kind":"withdrawal","bridge":"nomad","chain":"ethereum","tx":"0x1","token":"0xt","amount":"100.0000000000000000001","usd":1.5,"surprise":[1]}`, ""},
		{`{"at":"2022-08-01T21:32:31Z","kind":"block","chain":"c","node":"n","height":0,"hash":"0x0","time":1659389551}`, ""},
		{`{"at":"2022-08-01T21:32:31Z","kind":"of the future"}`, ""},
		{`{"kind":"sample","series":"x","value":1}`, `"at" is missing`},
		{`{"at":"yesterday","kind":"sample"}`, "is not a time"},
		{`{"at":"2022-08-01T21:32:31Z"}`, `"kind" is missing`},
		{`{"at":"2022-08-01T21:32:31Z","kind":"sample","series":"x"}`, `needs "value"`},
		{`{"at":"2022-08-01T21:32:31Z","kind":"transfer","chain":"c","from":"a","amount":"1e999999999"}`, "decimal text"},
		{`{"at":"2022-08-01T21:32:31Z","kind":"transfer","chain":"c","from":"a","amount":"-1"}`, "decimal text"},
		{`{"at":"2022-08-01T21:32:31Z","kind":"transfer","chain":"c","from":"a","amount":"0x1p999999999"}`, "decimal text"},
		{`{"at":"2022-08-01T21:32:31Z","kind":"node","chain":"c","node":"n","state":"odd"}`, "up, down or syncing"},
		{`{"at":"2022-08-01T21:32:31Z","kind":"price","asset":"USDC","close":1} {}`, "more than one"},
		{`[]`, "cannot unmarshal"},
		{``, "EOF"},
	} {
		_, err := observation.Decode([]byte(c.line))
		if (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", c.line, err, c.err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"at":"2022-08-01T21:32:31.123Z","kind":"price","asset":"a","close":1,"interval":"1m"}`))
	f.Add([]byte(`{"at":1659389551,"kind":"feed","feed":"ETH / USD","answer":1,"updated_at":1659389551,"heartbeat":3600,"deviation":0.005}`))
	f.Add([]byte(`{"at":1659389551,"kind":"spend","chain":"c","tx":"t","inputs":["a:0"],"where":"pool"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		o, err := observation.Decode(line)
		if err != nil {
			return
		}
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		back, err := observation.Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if again, _ := json.Marshal(back); !reflect.DeepEqual(b, again) {
			t.Fatalf("%s became %s", b, again)
		}
	})
}
