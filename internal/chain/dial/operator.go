package dial

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"strings"
)

// providers give each customer, or each chain, an address of its own: whoever has two of them has two addresses of one operator.
var providers = []string{
	"alchemy.com", "alchemyapi.io", "ankr.com", "blastapi.io", "blockpi.network", "chainstack.com", "drpc.org", "figment.io", "getblock.io",
	"helius-rpc.com", "infura.io", "llamarpc.com", "moralis-nodes.com", "nodereal.io", "onfinality.io", "p2pify.com", "publicnode.com", "quiknode.pro", "quicknode.com",
	"rpcpool.com", "syndica.io", "tenderly.co", "thirdweb.com",
}

const (
	portHTTP = "8545" // of execution nodes by default ...
	portWS   = "8546" // ... and of the same ones' websocket
)

// Operator is who answers at an address as far as the address tells: a well-known provider by its name, else host and port, so that two ports are two
// processes. The two ports that one execution node has by default (http 8545, ws 8546) are one. It holds no user, password, path or query; "" when the
// address cannot be read.
func Operator(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Hostname() == "" {
		return ""
	}
	host, port := place(u)
	for _, p := range providers {
		if host == p || strings.HasSuffix(host, "."+p) {
			return p
		}
	}
	if port == portWS && strings.HasPrefix(strings.ToLower(u.Scheme), "ws") {
		port = portHTTP
	}
	return join(host, port)
}

// Endpoint is an address in its one form, for comparison only: two addresses with the same Endpoint are the same door of the same process. Of user and
// password it holds a digest, since either may be the key that makes two accounts of one host; path and query may hold a key. "" when the address cannot be read.
func Endpoint(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Hostname() == "" {
		return ""
	}
	host, port := place(u)
	user := ""
	if u.User != nil {
		sum := sha256.Sum256([]byte(u.User.String()))
		user = hex.EncodeToString(sum[:8]) + "@"
	}
	out := user + join(host, port) + strings.TrimRight(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	return out
}

// place is host and port in their one form; the names of this machine are one.
func place(u *url.URL) (host, port string) {
	host, port = strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.Unmap().String()
	}
	if host == "localhost" || host == "::1" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "80"
		if s := strings.ToLower(u.Scheme); s == "https" || s == "wss" {
			port = "443"
		}
	}
	return host, port
}

func join(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}
