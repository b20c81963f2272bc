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

	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

var (
	slug      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	nodeName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	sourceKey = regexp.MustCompile(`^[a-z0-9]{32}$`)
)

var (
	levels     = []string{"debug", "info", "warn", "error"}
	families   = []string{"evm", "bitcoin", "comet", "solana", "beacon", "opstack"}
	staked     = []string{"comet", "solana"}
	networks   = []string{"main", "test", "testnet4", "signet", "simnet", "regtest"}
	kinds      = []string{"alertmanager", "grafana", "pagerduty", "cloudevents", "generic", "heartbeat", "metrics"}
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
	j.figures()
	j.watches()
	j.impact()
	j.reachable()
	j.watchdog()
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
	case ch.Family == "evm", ch.Family == "opstack":
		if n, err := strconv.ParseUint(ch.ChainID, 10, 63); err != nil || n == 0 || ch.ChainID[0] == '0' || ch.ChainID[0] == '+' {
			j.wrong(path+".chain_id", "%q is not a decimal chain id; write it like \"1\" (hexadecimal ids must be converted)", ch.ChainID)
		}
	case ch.Family == "bitcoin":
		j.oneOf(path+".chain_id", ch.ChainID, networks)
	default:
		j.text(path+".chain_id", ch.ChainID, 64, false)
	}
	if ch.RoutineReorg < 0 || ch.RoutineReorg > 10_000 {
		j.wrong(path+".routine_reorg", "%d is no depth; write 0 (known) to 10000 blocks", ch.RoutineReorg)
	}
	if ch.Confirmations < 0 || ch.Confirmations > 1_000_000 {
		j.wrong(path+".confirmations", "%d is no number of confirmations; write 0 (not known) to 1000000", ch.Confirmations)
	}
	if ch.SecondNodeWait > Day {
		j.wrong(path+".second_node_wait", "%s is more than a day; write it like 2m", ch.SecondNodeWait)
	}
	if !(ch.HashPrice >= 0 && ch.HashPrice < 1e6) {
		j.wrong(path+".hash_price_usd", "%v is no price; write the dollars that one hash per second costs for a day, or 0 (not known)", ch.HashPrice)
	}
	if !(ch.OpenDeposits >= 0 && ch.OpenDeposits < 1e15) {
		j.wrong(path+".open_deposits_usd", "%v is no sum; write dollars, or 0 (not known)", ch.OpenDeposits)
	}
	switch q := ch.OpenDepositsQuery; {
	case q != "" && ch.OpenDeposits != 0:
		j.wrong(path+".open_deposits_query", "open_deposits_usd is set as well; keep one of the two")
	case len(q) > queryMost:
		j.wrong(path+".open_deposits_query", "has %d characters; use at most %d, or a recording rule", len(q), queryMost)
	}
	if ch.BlockInterval > Day {
		j.wrong(path+".block_interval", "%s between blocks is more than a day; write it like 12s", ch.BlockInterval)
	}
	if ch.Poll != 0 && (ch.Poll < pollLeast || ch.Poll > pollMost) {
		j.wrong(path+".poll", "%s between two looks at a node is not from %s to %s; write it like 1s, or leave it out (each family has its own)", ch.Poll, pollLeast, pollMost)
	}
	if len(ch.Validators) > 0 && !slices.Contains(staked, ch.Family) {
		j.wrong(path+".validators", "validators are watched on chains of family %s only; remove them", strings.Join(staked, " and "))
	}
	if len(ch.Validators) > 64 {
		j.wrong(path+".validators", "%d are too many; name at most 64", len(ch.Validators))
	}
	for i, v := range ch.Validators {
		j.text(fmt.Sprintf("%s.validators[%d]", path, i), v, 64, true)
	}
	j.l1(path+".l1", ch)
	if len(ch.Nodes) == 0 {
		j.wrong(path+".nodes", "there is no node to ask; add one, better two of different operators")
	}
	names, doors := map[string]string{}, map[string]string{}
	for i := range ch.Nodes {
		at := fmt.Sprintf("%s.nodes[%d]", path, i)
		j.node(at, ch.Family, &ch.Nodes[i])
		j.unique(names, "node", ch.Nodes[i].Name, at+".name")
		door := dial.Endpoint(ch.Nodes[i].Endpoint())
		if other, double := doors[door]; double && door != "" {
			j.wrong(at+".url", "is the address of %s too; a node asked twice confirms nothing: give the address of another node or remove one", other)
			continue
		}
		doors[door] = at
	}
}

// Between two looks at a node: what a provider takes, and so that two of them are within the half minute in which a node must be heard of
// (chain.Monitor).
const (
	pollLeast = 250 * Second / 1000
	pollMost  = 10 * Second
)

var account = regexp.MustCompile(`^0x[0-9a-fA-F]{40}$`)

func (j *judge) l1(path string, ch *Chain) {
	l := &ch.L1
	if l.URL.Empty() && l.Inbox == "" && l.Batcher == "" {
		return
	}
	if ch.Family != "opstack" {
		j.wrong(path, "is for chains of family opstack only; remove it")
		return
	}
	if l.URL.Empty() {
		j.wrong(path+".url", "is missing; write the address of an execution node of L1")
	}
	j.address(path+".url", l.URL, []string{"http", "https"})
	if l.Inbox != "" && !account.MatchString(l.Inbox) {
		j.wrong(path+".inbox", "%q is no address; write 0x and 40 hexadecimal digits", l.Inbox)
	}
	if l.Batcher != "" && !account.MatchString(l.Batcher) {
		j.wrong(path+".batcher", "%q is no address; write 0x and 40 hexadecimal digits", l.Batcher)
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
		if family != "evm" {
			j.wrong(path+".ws", "is for evm nodes only; remove it")
		} else {
			j.address(path+".ws", n.WS, []string{"ws", "wss"})
		}
	}
	j.text(path+".operator", n.Operator, 60, false)
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
