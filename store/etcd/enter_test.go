//go:build unix

package etcd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tocsin-ops/tocsin/store/etcd"
	"github.com/tocsin-ops/tocsin/store/etcd/etcdtest"
)

// users gives the cluster root, whom etcdtest acts as from then on, and tocsin,
// who may touch what lies below a/.
func users(t *testing.T, c *etcdtest.Cluster) {
	t.Helper()
	root, err := c.Client(0)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx := t.Context()
	for _, step := range []func() error{
		func() error { _, err := root.UserAdd(ctx, "root", "r"); return err },
		func() error { _, err := root.RoleAdd(ctx, "root"); return err },
		func() error { _, err := root.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := root.UserAdd(ctx, "tocsin", "s3cret"); return err },
		func() error { _, err := root.RoleAdd(ctx, "rooms"); return err },
		func() error {
			_, err := root.RoleGrantPermission(ctx, "rooms", "a/", clientv3.GetPrefixRangeEnd("a/"), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := root.UserGrantRole(ctx, "tocsin", "rooms"); return err },
		func() error { _, err := root.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	c.As("root", "r")
}

// A cluster with users: ours may touch what lies below its prefix and no more.
func TestUser(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 1)
	ctx := t.Context()
	users(t, c)
	o := etcd.Options{Endpoints: c.Endpoints(), Prefix: "a", User: "tocsin", Password: "s3cret", TTL: 2 * time.Second, Timeout: patience, DialTimeout: patience}
	db := open(t, o)
	commit(t, db, put("k", "v"))
	if kv, err := db.Get(ctx, []byte("k")); err != nil || string(kv.Value) != "v" {
		t.Fatalf("%q, %v", kv.Value, err)
	}
	for change, err := range db.Watch(ctx, nil, 0) {
		if err != nil || string(change.Ops[0].Key) != "k" {
			t.Fatalf("%v, %v", change, err)
		}
		break
	}
	if err := db.Lead(ctx, "seat", func(context.Context) error {
		return until(func() error { return db.Tell(ctx, []byte("live"), []byte("1")) })
	}); err != nil {
		t.Fatal(err)
	}
	other := o
	other.Prefix = "b"
	wrong := o
	wrong.Password = "wr0ng"
	nobody := o
	nobody.User, nobody.Password = "", ""
	for says, o := range map[string]etcd.Options{"grant the user": other, "check user and password": wrong, "user name is empty": nobody} {
		o.DialTimeout = 2 * time.Second // an Open that is refused lasts so long
		if err := until(func() error {
			db, err := etcd.Open(ctx, o)
			if err == nil {
				t.Errorf("let in, want %s", says)
				return db.Close()
			}
			if strings.Contains(err.Error(), "wr0ng") {
				t.Errorf("%v tells the password", err)
			}
			if strings.Contains(err.Error(), says) {
				return nil
			}
			return err
		}); err != nil {
			t.Errorf("%v, want it to say %s", err, says)
		}
	}
}

// authority makes certificates for this test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue writes NAME.pem and NAME-key.pem; the authority itself when there is none.
func (a *authority) issue(name string) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: a.cert == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if a.cert == nil {
		a.cert, a.key = template, k
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(a.dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			a.t.Fatal(err)
		}
		return path
	}
	return write(name+".pem", "CERTIFICATE", der), write(name+"-key.pem", "EC PRIVATE KEY", secret)
}

// A member that wants certificates, ours too.
func TestTLS(t *testing.T) {
	t.Parallel()
	a := &authority{t: t, dir: t.TempDir()}
	ca, _ := a.issue("ca")
	serverCert, serverKey := a.issue("server")
	cert, key := a.issue("client")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if text, err := os.ReadFile(ca); err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal("the authority cannot be read")
	}
	p := newProxy(t, tls.NewListener(loopback(t), &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"h2"},
	}), cluster.Endpoints()[0])
	o, err := etcd.ParseURL("etcd://" + p.addr() + "/tls?ca=" + ca + "&cert=" + cert + "&key=" + key)
	if err != nil {
		t.Fatal(err)
	}
	o.Timeout, o.DialTimeout = patience, patience
	commit(t, open(t, o), put("k", "v"))
	for _, address := range []string{"etcd://" + p.addr(), "etcds://" + p.addr(), "etcd://" + p.addr() + "?ca=" + ca} {
		o, err := etcd.ParseURL(address)
		if err != nil {
			t.Fatal(err)
		}
		o.DialTimeout = time.Second
		if _, err := etcd.Open(t.Context(), o); err == nil {
			t.Errorf("%s was let in", address)
		} else {
			t.Log(err)
		}
	}
}
