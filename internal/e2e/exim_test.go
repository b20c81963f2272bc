package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// exim is a real mail server on a port of its own: it asks for STARTTLS and a password, refuses nobody@, cannot take later@ now, and puts
// everything else into one Maildir.
type exim struct {
	t    testing.TB
	dir  string
	port string
	run  *child
}

const eximConfig = `
primary_hostname = mail.example.test
spool_directory = DIR/spool
log_file_path = DIR/log/%slog
pid_file_path = DIR/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
tls_advertise_hosts = *
tls_certificate = DIR/cert.pem
tls_privatekey = DIR/key.pem
keep_environment =
begin acl
acl_mail:
  deny message = sign in first
       !authenticated = *
  accept
acl_rcpt:
  deny message = no such mailbox
       local_parts = nobody
  defer message = greylisted, come back later
       local_parts = later
  accept
begin routers
everybody:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = DIR/mail
  maildir_format
  delivery_date_add
  envelope_to_add
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{tocsin}}{eq{$auth3}{exim-password}}}}
  server_set_id = $auth2
  server_advertise_condition = ${if def:tls_in_cipher}
`

func startExim(t testing.TB) *exim {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/exim4"); err != nil {
		t.Fatal("there is no exim4; run: make tools")
	}
	e := &exim{t: t, dir: t.TempDir(), port: freePort(t)}
	for _, d := range []string{e.dir, filepath.Dir(e.dir)} { // exim is another user
		must(t, os.Chmod(d, 0o755))
	}
	for _, d := range []string{"spool", "log", "mail"} {
		must(t, os.Mkdir(filepath.Join(e.dir, d), 0o777))
		must(t, os.Chmod(filepath.Join(e.dir, d), 0o777))
	}
	e.certificate()
	config := strings.NewReplacer("DIR", e.dir, "PORT", e.port).Replace(eximConfig)
	must(t, os.WriteFile(filepath.Join(e.dir, "exim.conf"), []byte(config), 0o644))
	e.up()
	return e
}

func (e *exim) up() {
	e.t.Helper()
	e.run = spawn(e.t, "exim", "/usr/sbin/exim4", nil, "-C", filepath.Join(e.dir, "exim.conf"), "-bdf")
	until(e.t, "exim answers", patience, func() (bool, string) {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+e.port, time.Second)
		if err != nil {
			return false, e.run.out.last(500)
		}
		defer c.Close()
		greeting := make([]byte, 3)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = io.ReadFull(c, greeting)
		return err == nil && string(greeting) == "220", string(greeting)
	})
}

// certificate makes one for the loopback, that the product is told to trust.
func (e *exim) certificate() {
	e.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(e.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(e.t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	must(e.t, err)
	must(e.t, os.WriteFile(filepath.Join(e.dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	must(e.t, os.WriteFile(filepath.Join(e.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o644))
}

// mailed is one delivered message.
type mailed struct {
	header      mail.Header
	plain, html string
}

// letters reads the Maildir.
func (e *exim) letters() (out []mailed) {
	e.t.Helper()
	files, err := filepath.Glob(filepath.Join(e.dir, "mail/new/*"))
	must(e.t, err)
	for _, name := range files {
		f, err := os.Open(name)
		must(e.t, err)
		m, err := mail.ReadMessage(f)
		must(e.t, err)
		l := mailed{header: m.Header}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		must(e.t, err)
		for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				break
			}
			must(e.t, err)
			body, err := io.ReadAll(quotedprintable.NewReader(p))
			must(e.t, err)
			if strings.HasPrefix(p.Header.Get("Content-Type"), "text/plain") {
				l.plain = strings.ReplaceAll(string(body), "\r\n", "\n")
			} else {
				l.html = string(body)
			}
		}
		_ = f.Close()
		out = append(out, l)
	}
	return out
}

func (l mailed) subject() string {
	s, err := (&mime.WordDecoder{}).DecodeHeader(l.header.Get("Subject"))
	if err != nil {
		return err.Error()
	}
	return s
}

// about waits for one whose subject has this.
func (e *exim) about(subject string) (found mailed) {
	e.t.Helper()
	until(e.t, "a letter about "+subject, patience, func() (bool, string) {
		seen := ""
		for _, l := range e.letters() {
			if strings.Contains(l.subject(), subject) {
				found = l
				return true, ""
			}
			seen += l.subject() + "; "
		}
		return false, fmt.Sprintf("%q; exim: %s", seen, e.run.out.last(300))
	})
	return found
}
