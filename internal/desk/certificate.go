package desk

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// A certificate made here lives so long at most (what browsers accept of one that a person trusted), and is made anew when less than renewBefore is left.
const (
	certificateLife = 825 * 24 * time.Hour
	renewBefore     = 30 * 24 * time.Hour
	certificateMost = 64 << 10 // bytes of its file
)

// certificateFile holds key and certificate in one file, so that they never disagree.
func certificateFile(dir string) string { return filepath.Join(dir, "desk", "network.pem") }

// ownCertificate is the certificate in dir for the names, made when there is none, when a name is missing in it, or when it is near its end.
func ownCertificate(dir string, names []string, now time.Time) (tls.Certificate, error) {
	path := certificateFile(dir)
	raw, err := readMost(path, certificateMost)
	if err == nil {
		if c, err := tls.X509KeyPair(raw, raw); err == nil && fits(c.Leaf, names, now) {
			return c, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errSettings) {
		return tls.Certificate{}, fmt.Errorf("read the certificate: %w", err)
	}
	if raw, err = newCertificate(names, now); err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	if err := whole.Replace(path, func(w io.Writer) error { _, err := w.Write(raw); return err }); err != nil {
		return tls.Certificate{}, fmt.Errorf("keep the certificate: %w", err)
	}
	return tls.X509KeyPair(raw, raw)
}

// fits reports whether c names everybody of names and lives long enough.
func fits(c *x509.Certificate, names []string, now time.Time) bool {
	if c == nil || now.Before(c.NotBefore) || now.After(c.NotAfter.Add(-renewBefore)) {
		return false
	}
	return !slices.ContainsFunc(names, func(n string) bool { return c.VerifyHostname(n) != nil })
}

// newCertificate makes a key (ECDSA P-256) and a certificate that it signs itself, as PEM.
func newCertificate(names []string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	from := now.Add(-time.Hour).UTC().Truncate(time.Second) // clocks of others may be behind
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Tocsin on " + clipped(names[0], 50)},
		NotBefore: from, NotAfter: from.Add(certificateLife - time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// fingerprint is the SHA-256 of a certificate in lower-case hex.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// grouped writes a fingerprint in groups of four, to be read aloud.
func grouped(print string) string {
	var groups []string
	for len(print) > 4 {
		groups, print = append(groups, print[:4]), print[4:]
	}
	return strings.ToUpper(strings.Join(append(groups, print), " "))
}
