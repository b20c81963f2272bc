package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// authenticator is a small one in software: ES256, discoverable credentials,
// user verification, "none" or packed self attestation (W3C WebAuthn 6.5, 8.2).
type authenticator struct {
	t        *testing.T
	origin   string // of the page that the browser is on
	packed   bool
	synced   bool // sets the backup flags
	unproven bool // does not verify the user
	keys     []*softKey
}

type softKey struct {
	id, user []byte
	host     string
	key      *ecdsa.PrivateKey
	counter  uint32
	frozen   bool // a counter that does not count, as a copy's
}

var b64 = base64.RawURLEncoding

type creationOptions struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RP        struct{ ID, Name string }
		User      struct{ ID, Name, DisplayName string }
		Params    []struct{ Alg int }   `json:"pubKeyCredParams"`
		Exclude   []struct{ ID string } `json:"excludeCredentials"`
		Selection struct {
			ResidentKey      string `json:"residentKey"`
			UserVerification string `json:"userVerification"`
		} `json:"authenticatorSelection"`
		RPID             string `json:"rpId"`
		UserVerification string `json:"userVerification"`
	} `json:"publicKey"`
}

func (a *authenticator) parse(c Ceremony) creationOptions {
	a.t.Helper()
	var o creationOptions
	if err := json.Unmarshal(c.Options, &o); err != nil {
		a.t.Fatal(err)
	}
	return o
}

func (a *authenticator) clientData(typ, challenge string) []byte {
	raw, _ := json.Marshal(map[string]any{"type": typ, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	return raw
}

func (a *authenticator) authData(host string, counter uint32, attested []byte) []byte {
	sum := sha256.Sum256([]byte(host))
	flags := byte(0x01) // user present
	if !a.unproven {
		flags |= 0x04
	}
	if a.synced {
		flags |= 0x18
	}
	if attested != nil {
		flags |= 0x40
	}
	out := append(sum[:], flags)
	out = binary.BigEndian.AppendUint32(out, counter)
	return append(out, attested...)
}

func (k *softKey) sign(t *testing.T, authData, clientData []byte) []byte {
	t.Helper()
	hash := sha256.Sum256(clientData)
	sum := sha256.Sum256(append(append([]byte{}, authData...), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, k.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// create answers navigator.credentials.create.
func (a *authenticator) create(c Ceremony) []byte {
	a.t.Helper()
	o := a.parse(c)
	if o.PublicKey.Selection.ResidentKey != "required" || o.PublicKey.Selection.UserVerification != "required" {
		a.t.Fatalf("the options ask for %+v", o.PublicKey.Selection)
	}
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	user, err := b64.DecodeString(o.PublicKey.User.ID)
	if err != nil || len(user) != 64 {
		a.t.Fatalf("user handle of %d bytes, %v", len(user), err)
	}
	id := make([]byte, 32)
	rand.Read(id)
	k := &softKey{id: id, user: user, host: o.PublicKey.RP.ID, key: priv}
	point, err := priv.PublicKey.Bytes()
	if err != nil {
		a.t.Fatal(err)
	}
	cose, err := webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		a.t.Fatal(err)
	}
	attested := append(make([]byte, 16), byte(len(id)>>8), byte(len(id)))
	attested = append(append(attested, id...), cose...)
	authData := a.authData(k.host, k.counter, attested)
	clientData := a.clientData("webauthn.create", o.PublicKey.Challenge)
	object := map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": authData}
	if a.packed {
		object["fmt"] = "packed"
		object["attStmt"] = map[string]any{"alg": -7, "sig": k.sign(a.t, authData, clientData)}
	}
	raw, err := webauthncbor.Marshal(object)
	if err != nil {
		a.t.Fatal(err)
	}
	a.keys = append(a.keys, k)
	return a.answer(k, map[string]any{"clientDataJSON": b64.EncodeToString(clientData), "attestationObject": b64.EncodeToString(raw), "transports": []string{"internal"}})
}

// get answers navigator.credentials.get with the newest key of the site.
func (a *authenticator) get(c Ceremony) []byte {
	a.t.Helper()
	o := a.parse(c)
	if o.PublicKey.UserVerification != "required" {
		a.t.Fatalf("the options ask for user verification %q", o.PublicKey.UserVerification)
	}
	for i := len(a.keys) - 1; i >= 0; i-- {
		k := a.keys[i]
		if k.host != o.PublicKey.RPID {
			continue
		}
		if !a.synced && !k.frozen {
			k.counter++
		}
		authData := a.authData(k.host, k.counter, nil)
		clientData := a.clientData("webauthn.get", o.PublicKey.Challenge)
		return a.answer(k, map[string]any{
			"clientDataJSON": b64.EncodeToString(clientData), "authenticatorData": b64.EncodeToString(authData),
			"signature": b64.EncodeToString(k.sign(a.t, authData, clientData)), "userHandle": b64.EncodeToString(k.user),
		})
	}
	a.t.Fatalf("no key for %s", o.PublicKey.RPID)
	return nil
}

func (a *authenticator) answer(k *softKey, response map[string]any) []byte {
	id := b64.EncodeToString(k.id)
	raw, _ := json.Marshal(map[string]any{"id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{}, "response": response})
	return raw
}
