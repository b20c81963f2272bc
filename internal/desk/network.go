package desk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tocsin-ops/tocsin/views"
)

// everyAddress listens on all addresses of this computer.
const everyAddress = "0.0.0.0"

// usualPort is proposed for others to come by.
const usualPort = 8443

// lookAtCertificate is how often it is looked whether the certificate is near its end.
const lookAtCertificate = time.Hour

// networkNow is what came of the network switch.
type networkNow struct {
	ln   net.Listener // nil: it does not listen
	url  string       // by which others reach the room
	fail string       // why it does not listen although it should
	leaf *atomic.Pointer[tls.Certificate]
	end  func() []string // names of the certificate
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// check returns what is wrong with a wish, or "".
func (n Network) check() string {
	ip, err := netip.ParseAddr(n.Host)
	switch {
	case err != nil || ip.Zone() != "":
		return "Choose one of the addresses of this computer."
	case ip.IsLoopback() || ip.IsMulticast():
		return "This address is not one by which others reach this computer. Choose another one."
	case n.Port < 1 || n.Port > 65535:
		return "A port is a number from 1 to 65535. 8443 is usual."
	case n.Name != "" && (len(n.Name) > 253 || !hostName.MatchString(n.Name)):
		return "The name is one that others type, like laptop.example.org: letters, digits, dots and dashes. Leave it empty when there is none."
	}
	return ""
}

// outside is the name or address that others type.
func (n Network) outside() string {
	if n.Name != "" {
		return n.Name
	}
	if n.Host != everyAddress {
		return n.Host
	}
	if name := ownName(); name != "" {
		return name
	}
	for _, a := range ownAddresses() {
		return a
	}
	return "localhost"
}

// names are those of the certificate.
func (n Network) names() []string {
	names := []string{n.outside()}
	if n.Host == everyAddress {
		names = append(names, ownAddresses()...)
	} else {
		names = append(names, n.Host)
	}
	if name := ownName(); name != "" {
		names = append(names, name)
	}
	slices.Sort(names[1:])
	return slices.Compact(names)
}

// who says exactly who can reach the room.
func (n Network) who() string {
	port := strconv.Itoa(n.Port)
	if n.Host == everyAddress {
		return "Everybody in every network that this computer is in can then open port " + port + " of this computer, also in networks that you join later."
	}
	return "Everybody who can reach the address " + n.Host + " can then open its port " + port + "."
}

// ownName is the name of this computer, "" when it has none that a certificate can carry.
func ownName() string {
	name, err := os.Hostname()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if err != nil || name == "localhost" || len(name) > 253 || !hostName.MatchString(name) {
		return ""
	}
	return name
}

// ownAddresses are those by which others may reach this computer, in order.
func ownAddresses() []string {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var v4, v6 []string
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast() || n.IP.IsMulticast() {
			continue
		}
		if n.IP.To4() != nil {
			v4 = append(v4, n.IP.String())
		} else {
			v6 = append(v6, n.IP.String())
		}
	}
	return append(v4, v6...)
}

func addressChoices() []views.DeskAddress {
	var out []views.DeskAddress
	for _, a := range ownAddresses() {
		out = append(out, views.DeskAddress{Value: a, Label: "the address " + a})
	}
	return append(out, views.DeskAddress{Value: everyAddress, Label: "all addresses, also those of later"})
}

// listenNetwork opens the listener for others. What fails there does not keep the room from opening.
func (d *Desk) listenNetwork(n Network) networkNow {
	leaf := new(atomic.Pointer[tls.Certificate])
	c, err := ownCertificate(d.o.Dir, n.names(), d.o.Clock())
	if err != nil {
		d.o.Log.Error("make the certificate for others", "err", err)
		return networkNow{fail: "The certificate could not be kept on the disk of this computer, so nobody else can reach the room. Look whether the disk is full, then switch this off and on again."}
	}
	leaf.Store(&c)
	address := net.JoinHostPort(n.Host, strconv.Itoa(n.Port))
	if n.Host == everyAddress {
		address = ":" + strconv.Itoa(n.Port)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		d.o.Log.Error("listen for others", "err", err)
		return networkNow{fail: listenSays(err, n)}
	}
	return networkNow{
		ln: tls.NewListener(ln, &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return leaf.Load(), nil },
		}),
		url: "https://" + net.JoinHostPort(n.outside(), strconv.Itoa(n.Port)), leaf: leaf, end: n.names,
	}
}

func listenSays(err error, n Network) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "Nobody else can reach the room: another program uses port " + strconv.Itoa(n.Port) + ". Switch this off, choose another port, and switch it on again."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "Nobody else can reach the room: this computer does not have the address " + n.Host + " just now. It listens again when Tocsin is started with that address, or choose another one."
	case errors.Is(err, syscall.EACCES):
		return "Nobody else can reach the room: this computer does not give the port " + strconv.Itoa(n.Port) + " to programs of users. Choose one above 1023."
	}
	return "Nobody else can reach the room: this computer does not let Tocsin listen on " + n.Host + ". Switch this off and choose another address."
}

// watchCertificate makes a new certificate before the old one ends, until ctx ends.
func (d *Desk) watchCertificate(ctx context.Context, p *place) error {
	tick := time.NewTicker(lookAtCertificate)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if d.o.Clock().Before(p.network.leaf.Load().Leaf.NotAfter.Add(-renewBefore)) {
				continue
			}
			c, err := ownCertificate(d.o.Dir, p.network.end(), d.o.Clock())
			if err != nil {
				d.o.Log.Error("renew the certificate for others", "err", err)
				continue
			}
			p.network.leaf.Store(&c)
			d.news()
		case <-ctx.Done():
			return nil
		}
	}
}

func (n networkNow) certificate() *x509.Certificate {
	if n.leaf == nil {
		return nil
	}
	return n.leaf.Load().Leaf
}
