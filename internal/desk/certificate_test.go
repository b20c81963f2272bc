package desk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"os"
	"testing"
	"time"
)

// TestOwnCertificate: its key, its life and its names; it stays until it is near its end or lacks a name.
func TestOwnCertificate(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	make := func(at time.Time, names ...string) *x509.Certificate {
		t.Helper()
		c, err := ownCertificate(dir, names, at)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	c := make(now, "192.0.2.7", "laptop.example.org")
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || c.NotAfter.Sub(c.NotBefore) > certificateLife || c.NotAfter.Sub(c.NotBefore) < certificateLife-24*time.Hour || c.IsCA {
		t.Errorf("key %T, life %s, CA %v", c.PublicKey, c.NotAfter.Sub(c.NotBefore), c.IsCA)
	}
	if len(c.IPAddresses) != 1 || len(c.DNSNames) != 1 || c.VerifyHostname("192.0.2.7") != nil || c.VerifyHostname("laptop.example.org") != nil || c.VerifyHostname("other.example.org") == nil {
		t.Errorf("names %v %v", c.IPAddresses, c.DNSNames)
	}
	if st, err := os.Stat(certificateFile(dir)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if again := make(now.Add(24*time.Hour), "laptop.example.org"); fingerprint(again) != fingerprint(c) {
		t.Error("made anew without need")
	}
	other := make(now, "192.0.2.8")
	if fingerprint(other) == fingerprint(c) {
		t.Error("a certificate without the name is used")
	}
	end := other.NotAfter.Add(-renewBefore)
	if still := make(end.Add(-time.Minute), "192.0.2.8"); fingerprint(still) != fingerprint(other) {
		t.Error("made anew too early")
	}
	if renewed := make(end.Add(time.Minute), "192.0.2.8"); fingerprint(renewed) == fingerprint(other) || renewed.NotAfter.Before(end.Add(700*24*time.Hour)) {
		t.Error("not made anew near its end")
	}
	if err := os.WriteFile(certificateFile(dir), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	make(now, "192.0.2.8")
}
