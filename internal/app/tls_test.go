package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/config"
)

// pair writes a certificate for a name, signed by itself, and its key.
func pair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestRenewedCertificate: a renewed pair is used within seconds, a broken one never.
func TestRenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, "first.example")
	now := time.Unix(1000, 0)
	c, err := newCertificates(cert, key, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	serves := func() string {
		t.Helper()
		got, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(got.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	if got := serves(); got != "first.example" {
		t.Errorf("serves %s", got)
	}
	if err := os.WriteFile(cert, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookAgain)
	if got := serves(); got != "first.example" {
		t.Errorf("with a broken file it serves %s", got)
	}
	pair(t, dir, "second.example")
	if got := serves(); got != "first.example" {
		t.Errorf("it looked again at once and serves %s", got)
	}
	now = now.Add(lookAgain)
	if got := serves(); got != "second.example" {
		t.Errorf("after the renewal it serves %s", got)
	}
}

// TestSpeaksTLS: with a certificate the whole App answers by https, and says so.
func TestSpeaksTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, "localhost")
	c := config.Default()
	c.Addr, c.Data, c.TLS = "127.0.0.1:0", filepath.Join(dir, "data"), config.TLS{Cert: cert, Key: key}
	ctx, cancel := context.WithCancel(t.Context())
	a, err := New(ctx, Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	if err := a.WaitReady(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	written, err := os.ReadFile(cert)
	if err != nil || !roots.AppendCertsFromPEM(written) {
		t.Fatal("the certificate cannot be read back", err)
	}
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}}}
	defer client.CloseIdleConnections()
	r, err := client.Get("https://" + a.Addr() + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 200 || r.ProtoMajor != 2 || r.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d by %s, headers %v", r.StatusCode, r.Proto, r.Header)
	}
	if !strings.HasPrefix(a.URL(), "https://") || !strings.HasPrefix(a.SignInLink, "https://") {
		t.Errorf("people are sent to %s, %s", a.URL(), a.SignInLink)
	}
}

// TestWrongCertificate is told at the start, with the remedy.
func TestWrongCertificate(t *testing.T) {
	_, err := newCertificates("no-such.pem", "no-such-key.pem", slog.New(slog.DiscardHandler), time.Now)
	if err == nil || !strings.Contains(err.Error(), "PEM") || !strings.Contains(err.Error(), "no-such.pem") {
		t.Errorf("%v", err)
	}
}
