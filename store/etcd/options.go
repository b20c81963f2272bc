package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options say where the cluster is and how to enter it. Only Endpoints must be
// given. They print without the password.
type Options struct {
	Endpoints      []string // host:port of the members, for clients
	Prefix         string   // of every key of this installation; "" = "tocsin/"
	User, Password string
	TLS            *tls.Config // nil = from the files below, or none

	// Files in PEM: the authority that signed the members' certificates, and our
	// certificate with its key, for clusters that want one.
	CA, Cert, Key string

	DialTimeout time.Duration // for Open; 0 = 5 s
	Timeout     time.Duration // how long one call waits for the quorum; 0 = 5 s
	TTL         time.Duration // of the lease, in whole seconds; 0 = 5 s
	Log         *slog.Logger  // nil = none
}

// String is the address without the password.
func (o Options) String() string {
	user := ""
	if o.User != "" {
		user = o.User + "@"
	}
	return "etcd://" + user + strings.Join(o.Endpoints, ",") + "/" + strings.TrimSuffix(o.Prefix, "/")
}

// GoString is String, so that no verb prints the password.
func (o Options) GoString() string { return o.String() }

// LogValue is String.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

const form = "write it like etcd://user:password@10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/tocsin?ca=ca.pem&cert=client.pem&key=client-key.pem"

// ParseURL reads etcd://user:password@h1:2379,h2:2379/prefix?ca=..&cert=..&key=..
// All but the hosts may be missing; a port that is, is 2379. Special characters
// of user and password are %-encoded. etcds:// is TLS with the authorities of
// the system. Instead of the password, password-file=.. may name a file that
// holds it. Errors never quote what may be the password.
func ParseURL(text string) (Options, error) {
	var o Options
	rest, ok := strings.CutPrefix(text, "etcd://")
	if !ok {
		if rest, ok = strings.CutPrefix(text, "etcds://"); !ok {
			return o, errors.New("the address of the store does not begin with etcd://; " + form)
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	var err error
	if i := strings.LastIndex(hosts, "@"); i >= 0 {
		user, password, _ := strings.Cut(hosts[:i], ":")
		hosts = hosts[i+1:]
		o.User, err = url.PathUnescape(user)
		if err == nil {
			o.Password, err = url.PathUnescape(password)
		}
		if err != nil {
			return Options{}, errors.New("user or password in the address of the store is not well %-encoded; write % as %25, / as %2F, @ as %40, ? as %3F")
		}
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host = strings.TrimSpace(host); host == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "2379")
		}
		o.Endpoints = append(o.Endpoints, host)
	}
	if len(o.Endpoints) == 0 {
		return Options{}, errors.New("the address of the store names no host; " + form)
	}
	if path = strings.Trim(path, "/"); path != "" {
		o.Prefix = path + "/"
	}
	settings, err := url.ParseQuery(query)
	if err != nil {
		return Options{}, errors.New("the settings after ? in the address of the store are not well encoded; " + form)
	}
	for name, values := range settings {
		switch value := values[len(values)-1]; name {
		case "ca":
			o.CA = value
		case "cert":
			o.Cert = value
		case "key":
			o.Key = value
		case "password-file":
			b, err := os.ReadFile(value)
			if err != nil {
				return Options{}, fmt.Errorf("read the password of the store: %w; check password-file in its address", err)
			}
			o.Password = strings.TrimRight(string(b), "\r\n")
		default:
			return Options{}, fmt.Errorf("the address of the store has a setting %q, which is none; there are ca, cert, key, password-file", name)
		}
	}
	return o, nil
}

// complete fills in what was left out and loads the certificates.
func (o *Options) complete() error {
	if len(o.Endpoints) == 0 {
		return errors.New("no member of the cluster is named; name at least one, as host:2379")
	}
	if o.Prefix == "" {
		o.Prefix = "tocsin/"
	}
	if !strings.HasSuffix(o.Prefix, "/") {
		o.Prefix += "/" // else one installation could lie within another
	}
	for _, t := range []*time.Duration{&o.DialTimeout, &o.Timeout, &o.TTL} {
		if *t <= 0 {
			*t = 5 * time.Second
		}
	}
	o.TTL = max(o.TTL.Round(time.Second), 2*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.User != "" && o.Password == "" {
		return fmt.Errorf("user %q has no password; give one, or use a certificate instead", o.User)
	}
	if o.CA == "" && o.Cert == "" && o.Key == "" {
		return nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		t = o.TLS.Clone()
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return fmt.Errorf("read the authority's certificate: %w; check ca", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate in PEM; ca is the file etcd calls --trusted-ca-file", o.CA)
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return errors.New("cert and key belong together; give both or neither")
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return fmt.Errorf("load our certificate: %w; check cert and key", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	o.TLS = t
	return nil
}

// first spreads the replicas over the members.
func (o *Options) first(n int) int { return rand.IntN(n) }
