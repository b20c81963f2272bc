package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates serves the certificate of two files and takes a renewed one
// without a restart: at most every lookAgain a handshake looks whether the files
// changed. A new pair that cannot be used is logged once and the old one stays.
type certificates struct {
	cert, key string
	log       *slog.Logger
	clock     func() time.Time

	mu     sync.Mutex
	loaded *tls.Certificate
	stamp  string // of the files that were read last, used or not
	looked time.Time
}

const lookAgain = 10 * time.Second

// newCertificates reads the pair once, so that a wrong one is told at the start.
func newCertificates(cert, key string, log *slog.Logger, clock func() time.Time) (*certificates, error) {
	c := &certificates{cert: cert, key: key, log: log, clock: clock, looked: clock(), stamp: stamp(cert, key)}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s and its key %s: %w; both must be PEM files that this user may read and belong together", cert, key, err)
	}
	c.loaded = &pair
	return c, nil
}

// config is that of the listener: TLS 1.2 and newer (RFC 9325), HTTP/2 where the
// client offers it; websockets come over HTTP/1.1.
func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: c.get}
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock(); now.Sub(c.looked) >= lookAgain {
		c.looked = now
		if s := stamp(c.cert, c.key); s != c.stamp {
			c.stamp = s
			pair, err := tls.LoadX509KeyPair(c.cert, c.key)
			if err != nil {
				c.log.Error("the renewed certificate cannot be used; the old one stays", "cert", c.cert, "key", c.key, "err", err)
			} else {
				c.loaded = &pair
				c.log.Info("the renewed certificate is in use", "cert", c.cert)
			}
		}
	}
	return c.loaded, nil
}

// stamp changes when one of the files does.
func stamp(paths ...string) string {
	out := ""
	for _, p := range paths {
		if i, err := os.Stat(p); err == nil {
			out += fmt.Sprint(i.ModTime().UnixNano(), i.Size(), " ")
		}
	}
	return out
}

// serve answers on the listener, by TLS when there is a certificate.
func (a *App) serve() error {
	if a.opt.Config.TLS.Cert != "" {
		return a.http.ServeTLS(a.ln, "", "")
	}
	return a.http.Serve(a.ln)
}

// Scheme is http, or https when the App itself speaks TLS.
func (a *App) Scheme() string {
	if a.opt.Config.TLS.Cert != "" {
		return "https"
	}
	return "http"
}
