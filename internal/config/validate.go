package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

var (
	slug      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	nodeName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	sourceKey = regexp.MustCompile(`^[a-z0-9]{32}$`)
)

var (
	levels     = []string{"debug", "info", "warn", "error"}
	families   = []string{"evm", "bitcoin"}
	networks   = []string{"main", "test", "testnet4", "signet", "simnet", "regtest"}
	kinds      = []string{"alertmanager", "pagerduty", "generic"}
	severities = []string{"SEV1", "SEV2", "SEV3", "SEV4"}
)

// judge collects what is wrong with a Config.
type judge struct {
	*Config
	problems Problems
}

func (j *judge) wrong(path, format string, args ...any) {
	j.problems = append(j.problems, Problem{j.at(path), fmt.Sprintf(format, args...)})
}

// oneOf checks a word of a closed list.
func (j *judge) oneOf(path, word string, words []string) {
	if slices.Contains(words, word) {
		return
	}
	remedy := "write one of " + strings.Join(words, ", ")
	if near := nearest(word, words); near != "" && word != "" {
		remedy = "write " + near
	}
	j.wrong(path, "%q is not known; %s", word, remedy)
}

// text checks one line of text for people.
func (j *judge) text(path, text string, most int, required bool) {
	switch {
	case strings.TrimSpace(text) == "" && required:
		j.wrong(path, "is missing; give it a name")
	case len([]rune(text)) > most:
		j.wrong(path, "has %d characters; use at most %d", len([]rune(text)), most)
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }):
		j.wrong(path, "holds a line break or a control character; write one line")
	}
}

// Validate judges everything that can be judged without touching the network.
// It does not change the Config. The error is Problems, all of them at once.
func (c *Config) Validate() error {
	j := &judge{Config: c}
	if _, port, err := net.SplitHostPort(c.Addr); err != nil {
		j.wrong("addr", "%q is not an address to listen on; write it like 127.0.0.1:8080", c.Addr)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		j.wrong("addr", "%q has no port from 0 to 65535; write it like 127.0.0.1:8080", c.Addr)
	}
	if strings.TrimSpace(c.Data) == "" {
		j.wrong("data", "is empty; name a directory")
	}
	j.store()
	j.blobs()
	j.publicURL()
	switch {
	case c.TLS.Cert != "" && c.TLS.Key == "":
		j.wrong("tls.key", "is missing; name the file of the private key that belongs to %s", c.TLS.Cert)
	case c.TLS.Key != "" && c.TLS.Cert == "":
		j.wrong("tls.cert", "is missing; name the file of the certificate that belongs to %s", c.TLS.Key)
	}
	j.oneOf("log_level", c.LogLevel, levels)
	if c.Retention < 2*Hour {
		j.wrong("retention", "%s is too short to draw charts; write at least 2h", c.Retention)
	}
	j.text("organisation", c.Organisation, 80, false)
	names := map[string]string{}
	for i, m := range c.Components {
		path := fmt.Sprintf("components[%d]", i)
		j.text(path+".name", m.Name, 80, true)
		j.text(path+".group", m.Group, 80, false)
		j.text(path+".description", m.Description, 200, false)
		j.unique(names, "component", m.Name, path+".name")
	}
	names = map[string]string{}
	for i := range c.Chains {
		path := fmt.Sprintf("chains[%d]", i)
		j.chain(path, &c.Chains[i])
		j.unique(names, "chain", c.Chains[i].Name, path+".name")
	}
	names = map[string]string{}
	keys := map[string]string{}
	for i, s := range c.Sources {
		path := fmt.Sprintf("sources[%d]", i)
		j.text(path+".name", s.Name, 80, true)
		j.oneOf(path+".kind", s.Kind, kinds)
		j.unique(names, "source", s.Name, path+".name")
		if !sourceKey.MatchString(s.Key.Reveal()) {
			j.wrong(path+".key_file", "the key is not 32 lower-case letters and digits; make one with: openssl rand -hex 16")
		} else if other, double := keys[s.Key.Reveal()]; double {
			j.wrong(path+".key_file", "the key is that of %s too; give each source its own", other)
		}
		keys[s.Key.Reveal()] = path
	}
	if c.Correlation.Window <= 0 {
		j.wrong("correlation.window", "%s lets no signal join an incident; write it like 2h", c.Correlation.Window)
	}
	j.oneOf("correlation.floor", c.Correlation.Floor, severities)
	j.text("status.title", c.Status.Title, 80, false)
	names = map[string]string{}
	for i, a := range c.Status.Audiences {
		path := fmt.Sprintf("status.audiences[%d]", i)
		if !slug.MatchString(a) || a == "public" {
			j.wrong(path, "%q cannot be an audience; use lower-case letters, digits and dashes (public is always there)", a)
		}
		j.unique(names, "audience", a, path)
	}
	return j.problems.orNil()
}

func (j *judge) unique(seen map[string]string, what, name, path string) {
	if other, double := seen[name]; double && name != "" {
		j.wrong(path, "the %s %q is there already at %s; give it another name or remove one", what, name, other)
		return
	}
	seen[name] = path
}

func (j *judge) publicURL() {
	if j.PublicURL == "" {
		return
	}
	u, err := url.Parse(j.PublicURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		j.wrong("public_url", "%q is not an address; write it like https://tocsin.example.org", j.PublicURL)
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		j.wrong("public_url", "takes scheme, host and port only; write %s://%s", u.Scheme, u.Host)
	}
}

func (j *judge) chain(path string, ch *Chain) {
	if !slug.MatchString(ch.Name) {
		j.wrong(path+".name", "%q cannot name a chain; use up to 40 lower-case letters, digits and dashes, like ethereum", ch.Name)
	}
	j.oneOf(path+".family", ch.Family, families)
	switch {
	case ch.ChainID == "":
	case ch.Family == "evm":
		if n, err := strconv.ParseUint(ch.ChainID, 10, 63); err != nil || n == 0 || ch.ChainID[0] == '0' || ch.ChainID[0] == '+' {
			j.wrong(path+".chain_id", "%q is not a decimal chain id; write it like \"1\" (hexadecimal ids must be converted)", ch.ChainID)
		}
	case ch.Family == "bitcoin":
		j.oneOf(path+".chain_id", ch.ChainID, networks)
	}
	if ch.RoutineReorg < 0 || ch.RoutineReorg > 10_000 {
		j.wrong(path+".routine_reorg", "%d is no depth; write 0 (known) to 10000 blocks", ch.RoutineReorg)
	}
	if ch.Confirmations < 0 || ch.Confirmations > 1_000_000 {
		j.wrong(path+".confirmations", "%d is no number of confirmations; write 0 (not known) to 1000000", ch.Confirmations)
	}
	if ch.BlockInterval > Day {
		j.wrong(path+".block_interval", "%s between blocks is more than a day; write it like 12s", ch.BlockInterval)
	}
	if len(ch.Nodes) == 0 {
		j.wrong(path+".nodes", "there is no node to ask; add one, better two of different operators")
	}
	names := map[string]string{}
	for i := range ch.Nodes {
		at := fmt.Sprintf("%s.nodes[%d]", path, i)
		j.node(at, ch.Family, &ch.Nodes[i])
		j.unique(names, "node", ch.Nodes[i].Name, at+".name")
	}
}

func (j *judge) node(path, family string, n *Node) {
	if !nodeName.MatchString(n.Name) {
		j.wrong(path+".name", "%q cannot name a node; use up to 40 letters, digits, dots and dashes, like own-1", n.Name)
	}
	schemes := []string{"http", "https"}
	if family == "evm" {
		schemes = append(schemes, "ws", "wss")
	}
	u := j.address(path+".url", n.URL, schemes)
	if n.URL.Empty() {
		j.wrong(path+".url", "is missing; write it like http://127.0.0.1:8545")
	}
	if !n.WS.Empty() && n.WS.Reveal() != "none" {
		if family == "bitcoin" {
			j.wrong(path+".ws", "is for evm nodes only; remove it")
		} else {
			j.address(path+".ws", n.WS, []string{"ws", "wss"})
		}
	}
	if n.User == "" && !n.Password.Empty() {
		j.wrong(path+".password", "there is a password and no user; set user")
	}
	if n.User != "" && u != nil && u.User != nil {
		j.wrong(path+".user", "the url holds a user already; keep one of the two")
	}
}

// address checks an address without ever quoting it: it may hold a key.
func (j *judge) address(path string, a Address, schemes []string) *url.URL {
	if a.Empty() {
		return nil
	}
	u, err := url.Parse(a.Reveal())
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) {
		j.wrong(path, "is not an address that begins with %s; write it like %s://127.0.0.1:8545",
			strings.Join(schemes, "://, ")+"://", schemes[0])
		return nil
	}
	return u
}
