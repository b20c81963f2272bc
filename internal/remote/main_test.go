package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The tests trust one authority of their own, as a computer trusts the public ones.
var authority *signer

// signer signs certificates.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "remote")
	if err != nil {
		panic(err)
	}
	authority = newSigner("An Authority of the Tests", nil)
	path := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.cert.Raw}), 0o600); err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", path)
	os.Setenv("SSL_CERT_DIR", dir+"/none")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		os.Unsetenv(name)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func newSigner(name string, change func(*x509.Certificate)) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &signer{cert, key}
}

// issue makes a certificate of a server; by nil: it vouches for itself.
func issue(t testing.TB, by *signer, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "the server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if change != nil {
		change(c)
	}
	parent, secret := c, key
	if by != nil {
		parent, secret = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// patience bounds waits for what comes within seconds on a quiet machine. answerWithin is how long a look waits there: a machine that stands still for some
// seconds is not a room that is away.
const (
	patience     = 45 * time.Second
	answerWithin = 20 * time.Second
)

// until waits for what the network brings.
func until(t testing.TB, what string, within time.Duration, is func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			t.Fatalf("after %v still not: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// fakePage is a page as a Tocsin writes it.
func fakePage(handle, topic string, since int64, body string) string {
	meta := ""
	if topic != "" {
		meta = fmt.Sprintf(`<meta name="topic" content="%s" data-since="%d" data-from="">`, topic, since)
	}
	return fmt.Sprintf(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="csrf" content="token-of-%s"><meta name="build" content="v1"><meta name="now" content="1795213918373">%s<title>Board · Acme · Tocsin</title><link rel="stylesheet" href="/assets/app.css?v=v1"><script type="module" src="/assets/app.js?v=v1"></script></head><body class="page" data-handle="%s">%s</body></html>`,
		handle, meta, handle, body)
}

// asTocsin sets what every answer of a Tocsin carries.
func asTocsin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for name, value := range safety {
			w.Header().Set(name, value)
		}
		if r.URL.Path == "/readyz" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"ready":true,"read_only":false}`)
			return
		}
		next(w, r)
	}
}
