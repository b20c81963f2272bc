package auth

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// site is the address that passkeys are bound to.
type site struct {
	host, origin string // empty: localhost, as the request says
	name         string
}

// newSite reads the public address. Browsers give passkeys to https pages and to
// localhost only, and to names only, never to bare IP addresses (W3C WebAuthn,
// "relying party identifier").
func newSite(publicURL, organisation string) (site, error) {
	st := site{name: organisation}
	if st.name == "" {
		st.name = "Tocsin"
	}
	if publicURL == "" {
		return st, nil
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return st, fmt.Errorf("public_url %q is not an address; write it like https://tocsin.example.org", publicURL)
	}
	st.host, st.origin = strings.ToLower(u.Hostname()), u.Scheme+"://"+strings.ToLower(u.Host)
	return st, nil
}

// relyingParty returns who we are to an authenticator at the origin of a
// request, or the refusal that says at which address passkeys work.
func (st site) relyingParty(origin string) (*webauthn.WebAuthn, string, error) {
	host, at := st.host, st.origin
	if host == "" {
		u, err := url.Parse(origin)
		if err != nil || u.Hostname() == "" {
			return nil, "", refuse(CodePasskeyHost, "This browser did not say which address it is at. Reload the page and try again.")
		}
		host, at = strings.ToLower(u.Hostname()), u.Scheme+"://"+strings.ToLower(u.Host)
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
			port := ""
			if p := u.Port(); p != "" {
				port = ":" + p
			}
			return nil, "", refuse(CodePasskeyHost, "Browsers give passkeys to names only. Open http://localhost%s instead.", port)
		}
		if host != "localhost" && !strings.HasSuffix(host, ".localhost") {
			return nil, "", refuse(CodePasskeyHost, "Passkeys need a fixed address. An administrator sets public_url to the address that people open.")
		}
	} else if !strings.EqualFold(origin, at) {
		return nil, "", refuse(CodePasskeyHost, "Passkeys work at %s only. Open that address.", at)
	}
	if net.ParseIP(host) != nil {
		return nil, "", refuse(CodePasskeyHost, "Browsers give passkeys to names only. An administrator sets public_url to a host name.")
	}
	if strings.HasPrefix(at, "http://") && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
		return nil, "", refuse(CodePasskeyHost, "Browsers give passkeys to https pages only. An administrator sets public_url to an https address.")
	}
	resident := true
	w, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: st.name, RPOrigins: []string{at},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &resident, ResidentKey: protocol.ResidentKeyRequirementRequired,
			UserVerification: protocol.VerificationRequired, // the passkey is the only factor
		},
	})
	if err != nil {
		return nil, "", fmt.Errorf("prepare passkeys for %s: %w", at, err)
	}
	return w, host, nil
}
