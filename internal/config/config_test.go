package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestExample(t *testing.T) {
	c, err := Load("testdata/tocsin.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	btc := c.Chains[1].Nodes[0]
	for _, check := range []struct{ got, want any }{
		{c.Addr, "127.0.0.1:8080"}, {c.Retention, 30 * Day}, {c.Level(), slog.LevelInfo}, {c.Heading(), "Example Exchange status"},
		{c.BootstrapToken.Reveal(), "example-bootstrap-token-not-for-use"},
		{len(c.Components), 3}, {c.Components[0].Group, "Exchange"},
		{c.Chains[0].ChainID, "1"}, {c.Chains[0].BlockInterval.Milliseconds(), int64(12000)},
		{c.Chains[0].Poll.Std(), 2 * time.Second}, {c.Chains[1].Poll.Std(), time.Duration(0)},
		{c.Chains[0].Nodes[1].Endpoint(), "https://eth.example.net/v3/0123456789abcdef"}, {c.Chains[0].Nodes[0].Socket(), "ws://10.0.0.5:8546"},
		{btc.Endpoint(), "http://tocsin:example-password-not-for-use@10.0.0.6:8332"}, {btc.Socket(), ""},
		{c.Sources[0].Key.Reveal(), "examplekeynotforuse0000000000000"},
		{c.Scrape[0].Every(), 15 * time.Second}, {c.Scrape[0].BearerTokenFile, "testdata/payments.token"}, {c.Scrape[0].Labels, Labels{"team": "treasury"}}, {c.Rules[0], "testdata/rules/*.yml"},
		{c.Metrics, defaultFigures()},
		{c.Correlation, Correlation{2 * Hour, "SEV4"}}, {c.Status.Audiences[1], "regulator"},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("got %v, want %v", check.got, check.want)
		}
	}
}

// TestExampleNamesEverySetting keeps the example, and so the manual, complete.
func TestExampleNamesEverySetting(t *testing.T) {
	raw, err := os.ReadFile("testdata/tocsin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	alternative := map[string]bool{"bootstrap_token": true, "password": true, "key": true, "token": true, "webhook": true, "authorization": true} // the example has the *_file
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag := f.Tag.Get("yaml")
			if tag == "" {
				continue
			}
			if !alternative[tag] && !bytes.Contains(raw, []byte(tag+":")) {
				t.Errorf("the example does not show %s.%s", typ.Name(), tag)
			}
			inner := f.Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct && !reflect.PointerTo(inner).Implements(reflect.TypeFor[settable]()) {
				walk(inner)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestEmptyIsDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "chains:\nstatus:\n"} {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil || c.Validate() != nil {
			t.Fatalf("%q: %v", text, err)
		}
		c.file, c.lines = "", nil
		if !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q: %+v", text, c)
		}
	}
	if c, err := Load("", nil); err != nil || c.Addr != "127.0.0.1:8080" || c.Heading() != "Status" {
		t.Fatal(err)
	}
}

// TestProblems: each wrong file gives exactly these lines, with place and remedy.
func TestProblems(t *testing.T) {
	node := "    nodes: [{name: a, url: http://x:1}]\n"
	for _, c := range []struct{ text, want string }{
		{"adr: x", `f.yaml:1: there is no setting "adr"; write addr`},
		{"addr: 1:1\nzzzzzzzzz: 1", `f.yaml:2: there is no setting "zzzzzzzzz"; remove it; the settings here are addr, data, store, blobs, public_url, tls, log_level, retention, organisation, bootstrap_token, bootstrap_token_file, components, chains, watches, sources, metrics, scrape, rules, detection, correlation, watchdog, status, impact, notify`},
		{"chains:\n  - name: e\n    familly: evm\n", `f.yaml:3: chains[0]: there is no setting "familly"; write family`},
		{"status: {titel: x}", `f.yaml:1: status: there is no setting "titel"; write title`},
		{"addr: a:1\naddr: b:2", `f.yaml:2: addr is set already on line 1; keep one of the two`},
		{"addr: [1]", `f.yaml:1: addr: takes one value, not a list or a block; write it on one line`},
		{"chains: e", `f.yaml:1: chains: takes a list; begin each entry with a dash`},
		{"status: e", `f.yaml:1: status: takes settings like name: value; write them one a line`},
		{"- a", `f.yaml:1: takes settings like name: value; write them one a line`},
		{"retention: 3x", `f.yaml:1: retention: "3x" is not a length of time; write it like 90s, 12h, 15d or 8w`},
		{"chains:\n  - routine_reorg: deep", `f.yaml:2: chains[0].routine_reorg: "deep" is not a whole number; write digits only`},
		{"a: b: c", `f.yaml: mapping values are not allowed in this context; mend the YAML there (indent with spaces, quote text that holds : or #)`},
		{"addr: a:1\n---\naddr: b:1", `f.yaml: holds more than one document; remove the line --- and put everything into one`},

		{"store: postgres://u:5t0re@h/p", `f.yaml:1: store: is not a store; write bolt, or like etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/tocsin`},
		{"store: etcd:///p", `f.yaml:1: store: names no host; write bolt, or like etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/tocsin`},
		{"addr: localhost", `f.yaml:1: addr: "localhost" is not an address to listen on; write it like 127.0.0.1:8080`},
		{"addr: localhost:99999", `f.yaml:1: addr: "localhost:99999" has no port from 0 to 65535; write it like 127.0.0.1:8080`},
		{"data: ' '", `f.yaml:1: data: is empty; name a directory`},
		{"public_url: tocsin.example.org", `f.yaml:1: public_url: "tocsin.example.org" is not an address; write it like https://tocsin.example.org`},
		{"public_url: https://x.org/room", `f.yaml:1: public_url: takes scheme, host and port only; write https://x.org`},
		{"log_level: warning", `f.yaml:1: log_level: "warning" is not known; write warn`},
		{"retention: 1h", `f.yaml:1: retention: 1h0m0s is too short to draw charts; write at least 2h`},
		{"components: [{name: A}, {name: A}]", `f.yaml:1: components[1].name: the component "A" is there already at components[0].name; give it another name or remove one`},
		{"components: [{group: A}]", `f.yaml:1: components[0].name: is missing; give it a name`},
		{"chains:\n  - name: Eth\n    family: emv\n" + node, "f.yaml:2: chains[0].name: \"Eth\" cannot name a chain; use up to 40 lower-case letters, digits and dashes, like ethereum\nf.yaml:3: chains[0].family: \"emv\" is not known; write evm"},
		{"chains:\n  - {name: e, family: evm}", `f.yaml:2: chains[0].nodes: there is no node to ask; add one, better two of different operators`},
		{"chains:\n  - name: e\n    family: evm\n    chain_id: 0x1\n" + node, `f.yaml:4: chains[0].chain_id: "0x1" is not a decimal chain id; write it like "1" (hexadecimal ids must be converted)`},
		{"chains:\n  - name: b\n    family: bitcoin\n    chain_id: mainnet\n" + node, `f.yaml:4: chains[0].chain_id: "mainnet" is not known; write main`},
		{"chains:\n  - name: e\n    family: evm\n    nodes: [{name: a, url: 'eth-secret.example/key'}]", `f.yaml:4: chains[0].nodes[0].url: is not an address that begins with http://, https://, ws://, wss://; write it like http://127.0.0.1:8545`},
		{"chains:\n  - name: e\n    family: evm\n    nodes: [{name: a}, {name: a, url: http://x, ws: http://x}]", "f.yaml:4: chains[0].nodes[0].url: is missing; write it like http://127.0.0.1:8545\nf.yaml:4: chains[0].nodes[1].ws: is not an address that begins with ws://, wss://; write it like ws://127.0.0.1:8545\nf.yaml:4: chains[0].nodes[1].name: the node \"a\" is there already at chains[0].nodes[0].name; give it another name or remove one"},
		{"chains:\n  - name: e\n    family: evm\n    nodes: [{name: a, url: 'http://localhost:8545'}, {name: b, url: 'ws://127.0.0.1:8545/', operator: \"a\\tb\"}, {name: c, url: 'http://127.0.0.1:8545/?key=secret'}, {name: d, url: 'http://:key1@127.0.0.1:8545'}, {name: e, url: 'http://:key2@127.0.0.1:8545'}]", "f.yaml:4: chains[0].nodes[1].operator: holds a line break or a control character; write one line\nf.yaml:4: chains[0].nodes[1].url: is the address of chains[0].nodes[0] too; a node asked twice confirms nothing: give the address of another node or remove one"},
		{"chains:\n  - name: b\n    family: bitcoin\n    nodes: [{name: a, url: http://u:p@x, user: v, password: q}, {name: b, url: http://x, password: q, ws: none}, {name: c, url: http://y, ws: ws://x}]", "f.yaml:4: chains[0].nodes[0].user: the url holds a user already; keep one of the two\nf.yaml:4: chains[0].nodes[1].password: there is a password and no user; set user\nf.yaml:4: chains[0].nodes[2].ws: is for evm nodes only; remove it"},
		{"chains:\n  - name: b\n    family: bitcoin\n    open_deposits_usd: 1\n    open_deposits_query: sum(open_usd)\n" + node, `f.yaml:5: chains[0].open_deposits_query: open_deposits_usd is set as well; keep one of the two`},
		{"chains:\n  - name: b\n    family: bitcoin\n    open_deposits_query: " + strings.Repeat("x", queryMost+1) + "\n" + node, `f.yaml:4: chains[0].open_deposits_query: has 2001 characters; use at most 2000, or a recording rule`},
		{"chains:\n  - name: e\n    family: evm\n    l1: {url: 'http://x'}\n" + node, `f.yaml:4: chains[0].l1: is for chains of family opstack only; remove it`},
		{"chains:\n  - name: o\n    family: opstack\n    chain_id: base\n    l1: {inbox: '0xff', batcher: me}\n" + node, "f.yaml:4: chains[0].chain_id: \"base\" is not a decimal chain id; write it like \"1\" (hexadecimal ids must be converted)\nf.yaml:5: chains[0].l1.url: is missing; write the address of an execution node of L1\nf.yaml:5: chains[0].l1.inbox: \"0xff\" is no address; write 0x and 40 hexadecimal digits\nf.yaml:5: chains[0].l1.batcher: \"me\" is no address; write 0x and 40 hexadecimal digits"},
		{"chains:\n  - name: o\n    family: opstack\n    l1: {url: 'ftp://key@x'}\n" + node, `f.yaml:4: chains[0].l1.url: is not an address that begins with http://, https://; write it like http://127.0.0.1:8545`},
		{"chains:\n  - name: e\n    family: evm\n    routine_reorg: -1\n    confirmations: -1\n    block_interval: 2d\n" + node, "f.yaml:4: chains[0].routine_reorg: -1 is no depth; write 0 (known) to 10000 blocks\nf.yaml:5: chains[0].confirmations: -1 is no number of confirmations; write 0 (not known) to 1000000\nf.yaml:6: chains[0].block_interval: 2d between blocks is more than a day; write it like 12s"},
		{"chains:\n  - name: e\n    family: evm\n    poll: 249ms\n" + node, `f.yaml:4: chains[0].poll: 249ms between two looks at a node is not from 250ms to 10s; write it like 1s, or leave it out (each family has its own)`},
		{"chains:\n  - name: b\n    family: bitcoin\n    poll: 11s\n" + node, `f.yaml:4: chains[0].poll: 11s between two looks at a node is not from 250ms to 10s; write it like 1s, or leave it out (each family has its own)`},
		{"chains:\n  - name: b\n    family: bitcoin\n    poll: 1\n" + node, `f.yaml:4: chains[0].poll: "1" is not a length of time; write it like 90s, 12h, 15d or 8w`},
		{"sources: [{name: A, kind: pagerdutty, key: short}]", "f.yaml:1: sources[0].kind: \"pagerdutty\" is not known; write pagerduty\nf.yaml:1: sources[0].key_file: the key is not 32 lower-case letters and digits; make one with: openssl rand -hex 16"},
		{"sources:\n- {name: A, kind: generic, key: 0123456789abcdef0123456789abcdef}\n- {name: B, kind: generic, key: 0123456789abcdef0123456789abcdef}", "f.yaml:3: sources[1].key_file: the key is that of sources[0] too; give each source its own"},
		{"correlation: {window: 0s, floor: SEV5}", "f.yaml:1: correlation.window: 0s lets no signal join an incident; write it like 2h\nf.yaml:1: correlation.floor: \"SEV5\" is not known; write SEV1"},
		{"status: {audiences: [public, A, b, b]}", "f.yaml:1: status.audiences[0]: \"public\" cannot be an audience; use lower-case letters, digits and dashes (public is always there)\nf.yaml:1: status.audiences[1]: \"A\" cannot be an audience; use lower-case letters, digits and dashes (public is always there)\nf.yaml:1: status.audiences[3]: the audience \"b\" is there already at status.audiences[2]; give it another name or remove one"},
		{"organisation: \"a\\nb\"", `f.yaml:1: organisation: holds a line break or a control character; write one line`},
	} {
		cfg, err := Parse("f.yaml", []byte(c.text))
		if err == nil {
			err = cfg.Validate()
		}
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "t.yaml")
	os.WriteFile(file, []byte("addr: 127.0.0.1:1\nlog_level: warn\nbootstrap_token: from-the-file\n"), 0o600)
	c, err := Load("", []string{"TOCSIN_CONFIG=" + file, "TOCSIN_ADDR=127.0.0.1:2", "TOCSIN_LOG_LEVEL=", "TOCSIN_CORRELATION_WINDOW=90m",
		"TOCSIN_STATUS_AUDIENCES=exchanges,regulator", "TOCSIN_RETENTION=8w", "TOCSIN_BOOTSTRAP_TOKEN=from-the-environment", "PATH=/bin", "ADDR=x"})
	if err != nil || c.Addr != "127.0.0.1:2" || c.LogLevel != "warn" || c.Correlation.Window.String() != "1h30m0s" || c.Retention != 56*Day ||
		!slices.Equal(c.Status.Audiences, []string{"exchanges", "regulator"}) || c.BootstrapToken.Reveal() != "from-the-environment" {
		t.Fatalf("%+v %v", c, err)
	}
	_, err = Load(file, []string{"TOCSIN_RETENTION=long", "TOCSIN_ADDR=x"})
	if got := fmt.Sprint(err); got != `TOCSIN_RETENTION: "long" is not a length of time; write it like 90s, 12h, 15d or 8w` {
		t.Fatal(got)
	}
	secret := filepath.Join(dir, "token")
	os.WriteFile(secret, []byte("from-its-own-file\r\n"), 0o600)
	if c, err = Load(file, []string{"TOCSIN_BOOTSTRAP_TOKEN_FILE=" + secret}); err != nil || c.BootstrapToken.Reveal() != "from-its-own-file" {
		t.Fatal(err)
	}
	if _, err = Load(file, []string{"TOCSIN_BOOTSTRAP_TOKEN_FILE=" + secret, "TOCSIN_BOOTSTRAP_TOKEN=x"}); err == nil {
		t.Fatal("two bootstrap tokens are taken")
	}
	want := []string{"TOCSIN_ADRESS is no setting and is ignored; do you mean TOCSIN_ADDR?", "TOCSIN_UNRELATED_THING is no setting and is ignored"}
	if got := Strays([]string{"TOCSIN_ADRESS=1", "TOCSIN_CONFIG=x", "TOCSIN_STATUS_TITLE=x", "TOCSIN_UNRELATED_THING=1", "OTHER=1"}); !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("empty", "\n")
	write("long", strings.Repeat("x", secretMost+1))
	for path, want := range map[string]string{
		filepath.Join(dir, "absent.yaml"): "no such file or directory; check the path",
		dir:                               "name a file, not a directory",
		write("binary", "\xff\xfe"):       "is not UTF-8 text",
		write("big", strings.Repeat("#", fileMost+1)):                       "is longer than 1048576 bytes",
		write("a.yaml", "bootstrap_token_file: empty"):                      "a.yaml:1: bootstrap_token_file: " + filepath.Join(dir, "empty") + " is empty; write the secret into it",
		write("b.yaml", "bootstrap_token_file: nowhere"):                    "b.yaml:1: bootstrap_token_file: " + filepath.Join(dir, "nowhere") + ": no such file",
		write("c.yaml", "bootstrap_token_file: long"):                       "is longer than 65536 bytes",
		write("d.yaml", "bootstrap_token: x\nbootstrap_token_file: y"):      "d.yaml:2: bootstrap_token_file: bootstrap_token is set as well; keep one of the two",
		write("e.yaml", "sources: [{name: a, kind: generic, key_file: z}]"): "e.yaml:1: sources[0].key_file: ",
	} {
		if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// TestSecretsPrintNowhere plants secrets in every field that holds one and
// prints the Config in every way there is, errors included.
func TestSecretsPrintNowhere(t *testing.T) {
	planted := []string{"boot-5ecret", "pa55word", "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3", "apik3y", "us3rinfo", "qu3ry", "5t0re"}
	c, err := Parse("f.yaml", []byte(`
bootstrap_token: boot-5ecret
store: etcd://us3rinfo:5t0re@h:1/p?password=5t0re&x=%zz
chains:
  - name: e
    family: evm
    nodes:
      - {name: a, url: "https://us3rinfo:pa55word@x.org/v3/apik3y?k=qu3ry", ws: "wss://x.org/apik3y", user: u, password: pa55word}
      - {name: b, url: "apik3y"}
      - {name: c, url: "ftp://x/apik3y", ws: "http://[apik3y"}
sources:
  - {name: s, kind: generic, key: k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3}
`))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(h)
		log.Info("config", "config", c, "token", c.BootstrapToken, "node", c.Chains[0].Nodes[0], "url", c.Chains[0].Nodes[0].URL)
	}
	type holder struct{ hidden Config }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", c, &c, holder{c})
		fmt.Fprintf(&out, verb+verb+"\n", c.BootstrapToken, c.Chains[0].Nodes[0].URL)
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		raw, err := marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
	}
	fmt.Fprintln(&out, c.Validate())
	for _, s := range planted {
		if strings.Contains(out.String(), s) || strings.Contains(out.String(), fmt.Sprintf("%x", s)) {
			i := strings.Index(out.String(), s)
			t.Errorf("%s is printed: …%s", s, out.String()[max(0, i-80):min(out.Len(), max(i, 0)+40)])
		}
	}
	for text, want := range map[string]string{"": "", "none": "none", "http://x:1": "http://x:1", "http://x/": "http://x", "https://x/k": "https://x/[redacted]", "garbage": redacted} {
		if got := NewAddress(text).String(); got != want {
			t.Errorf("Address %q prints as %q", text, got)
		}
	}
	for text, want := range map[string]string{
		"": "bolt", "bolt": "bolt", "garbage": redacted, "etcd://a:1,b:2/p": "etcd://a:1,b:2/p", "etcd://u:p@a:1,b:2/p": "etcd://a:1,b:2/p",
		"etcd://a:1?password=x": "etcd://a:1?" + redacted, "etcd://u:p?w@a:1/p": "etcd://" + redacted, "etcd://u:p#w@a:1/p": "etcd://" + redacted,
	} {
		if got := NewStore(text).String(); got != want {
			t.Errorf("Store %q prints as %q, want %q", text, got, want)
		}
	}
	if NewSecret("").String() != "" || NewSecret("x").String() != redacted || !NewSecret("").Empty() || NewSecret("x").Empty() {
		t.Error("String of Secret")
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]Duration{"90s": 90 * Second, "15d": 15 * Day, "8w": 56 * Day, "1.5d": 36 * Hour, "0s": 0, "1h30m": 3 * Hour / 2} {
		got, err := ParseDuration(text)
		if again, err2 := ParseDuration(got.String()); err != nil || got != want || err2 != nil || again != got {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "15", "-1d", "-1s", "1d12h", "NaNd", "Infw", "1e9d", "999999999999d", "+1d", "1.2.3d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	raw, _ := os.ReadFile("testdata/tocsin.yaml")
	for _, s := range []string{string(raw), "a: &a [*a]", "chains: &c [*c, *c]", "? [a]\n: b", "<<: {addr: x}", "addr: !!binary aGk=", "status: {audiences: [1, true, null]}", "\x00", "retention: 1e400d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f.yaml", []byte(text))
		if err == nil {
			err = c.Validate()
		}
		if err != nil && !strings.Contains(err.Error(), ";") {
			t.Fatalf("%q: the error has no remedy: %v", text, err)
		}
	})
}
