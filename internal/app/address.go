package app

import (
	"net"
	"strings"
)

// Addr is where the App listens, host:port.
func (a *App) Addr() string { return a.ln.Addr().String() }

// URL is the address people open.
func (a *App) URL() string {
	if u := a.opt.Config.PublicURL; u != "" {
		return strings.TrimSuffix(u, "/")
	}
	local := LocalURL(a.Addr())
	if a.opt.Config.TLS.Cert != "" {
		return "https" + strings.TrimPrefix(local, "http")
	}
	return local
}

// LocalURL is the address by which people on this machine open a server that
// listens on addr: by the name localhost, because passkeys need a name.
func LocalURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
		if ip.Equal(net.IPv4(127, 0, 0, 1)) && !localhostIsHere() {
			host = "127.0.0.1"
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// localhostIsHere reports whether the name localhost leads to IPv4 loopback on this machine.
func localhostIsHere() bool {
	ips, err := net.LookupHost("localhost")
	if err != nil {
		return false
	}
	for _, ip := range ips {
		if ip == "127.0.0.1" {
			return true
		}
	}
	return false
}
