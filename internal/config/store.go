package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
)

// Bolt is the store that is a file in the data directory, the default.
const Bolt = "bolt"

// Store says where the log is kept: "bolt", or the address of a store that
// several replicas share, like etcd://h1:2379,h2:2379/prefix?ca=/etc/ca.pem.
// Such an address may hold a password, so it prints without user and query.
type Store struct{ secret Secret }

// NewStore makes a Store of a text; Validate judges it.
func NewStore(text string) Store { return Store{NewSecret(text)} }

// Reveal returns the whole address. Hand it on at once; never print it.
func (s Store) Reveal() string {
	if s.secret.Empty() {
		return Bolt
	}
	return s.secret.Reveal()
}

// Shared reports whether several replicas may use the store at a time.
func (s Store) Shared() bool { return s.Reveal() != Bolt }

// String returns "bolt", or scheme, hosts and prefix. net/url is not asked: an
// address with several hosts is none to it.
func (s Store) String() string {
	text := s.Reveal()
	if text == Bolt {
		return text
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return redacted
	}
	rest, query, asked := strings.Cut(rest, "?")
	if strings.Contains(query, "@") || strings.Contains(rest, "#") { // in a password that is not escaped
		return scheme + "://" + redacted
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		rest = rest[i+1:]
	}
	if asked {
		rest += "?" + redacted
	}
	return scheme + "://" + rest
}

// GoString redacts %#v.
func (s Store) GoString() string { return strconv.Quote(s.String()) }

// Format redacts every verb of fmt.
func (s Store) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText redacts JSON and every other encoder that asks for text.
func (s Store) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML redacts YAML.
func (s Store) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue redacts slog.
func (s Store) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s *Store) set(text string) error {
	*s = NewStore(text)
	return nil
}

// store judges the address without ever quoting it: it may hold a password.
func (j *judge) store() {
	if !j.Store.Shared() {
		return
	}
	const form = "write bolt, or like etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/tocsin"
	text := j.Store.Reveal()
	rest, ok := strings.CutPrefix(text, "etcd://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "etcds://")
	}
	hosts, _, _ := strings.Cut(rest, "?")
	hosts, _, _ = strings.Cut(hosts, "/")
	if i := strings.LastIndex(hosts, "@"); i >= 0 {
		hosts = hosts[i+1:]
	}
	switch {
	case !ok:
		j.wrong("store", "is not a store; %s", form)
	case hosts == "":
		j.wrong("store", "names no host; %s", form)
	}
	if _, query, found := strings.Cut(text, "?"); found {
		if _, err := url.ParseQuery(query); err != nil {
			j.wrong("store", "has settings after the ? that cannot be read; write them like ?ca=/etc/ca.pem&user=tocsin")
		}
	}
}
