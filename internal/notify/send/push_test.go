package send

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/store/mem"
)

var b64 = base64.RawURLEncoding

// browser is the receiving end of web push, after the RFCs and with nothing of the sender's library.
type browser struct {
	key  *ecdh.PrivateKey
	auth []byte
}

func newBrowser(t *testing.T) browser {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth := make([]byte, 16)
	_, _ = rand.Read(auth)
	return browser{key, auth}
}

func (b browser) subscription(endpoint string) *notify.Subscription {
	s := &notify.Subscription{Endpoint: endpoint}
	s.Keys.Auth, s.Keys.P256dh = b64.EncodeToString(b.auth), b64.EncodeToString(b.key.PublicKey().Bytes())
	return s
}

// open decrypts a message of one record (RFC 8188, 2; RFC 8291, 3.4).
func (b browser) open(t *testing.T, body []byte) []byte {
	t.Helper()
	salt, idlen := body[:16], int(body[20])
	sender := body[21 : 21+idlen]
	pub, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := b.key.ECDH(pub)
	if err != nil {
		t.Fatal(err)
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		out, err := hkdf.Key(sha256.New, secret, salt, info, n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ikm := derive(shared, b.auth, "WebPush: info\x00"+string(b.key.PublicKey().Bytes())+string(sender), 32)
	block, err := aes.NewCipher(derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, derive(ikm, salt, "Content-Encoding: nonce\x00", 12), body[21+idlen:], nil)
	if err != nil {
		t.Fatal(err)
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		t.Fatal("the record does not end as the last one does")
	}
	return plain[:len(plain)-1]
}

func pushTo(t *testing.T, base string) (notify.Sender, notify.Parcel) {
	t.Helper()
	db := mem.New()
	defer db.Close()
	keys, err := notify.LoadPushKeys(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	again, err := notify.LoadPushKeys(t.Context(), db)
	if err != nil || again != keys {
		t.Fatal("the keys are not kept", err)
	}
	p := parcel(notify.Push, "")
	p.Route.Push = newBrowser(t).subscription(base + "/wpush/" + secret)
	return newPush(config.WebPush{Contact: "ops@example.org"}, "", keys), p
}

func TestPush(t *testing.T) {
	s := provider(t, 201, "")
	s.header["Location"] = s.URL + "/message/qDIYHNcfAIPP_5ITvURr-d6BGt"
	sender, p := pushTo(t, s.URL)
	b := newBrowser(t)
	p.Route.Push, p.Route.Private, p.Seen = b.subscription(s.URL+"/wpush/"+secret), true, "/push/seen/abc"
	check(t, "push", outcome(sender.Send(t.Context(), p)), "taken qDIYHNcfAIPP_5ITvURr-d6BGt: the push service took it")
	r := s.got[0]
	h := r.Header
	if h.Get("TTL") != "3600" || h.Get("Urgency") != "high" || h.Get("Topic") != p.Key || h.Get("Content-Encoding") != "aes128gcm" || len(s.bodies[0]) > 4096 {
		t.Errorf("%v, %d bytes", h, len(s.bodies[0]))
	}
	var got Payload
	if err := json.Unmarshal(b.open(t, []byte(s.bodies[0])), &got); err != nil || got.Title != p.Text.Subject || got.URL != p.Text.URL || !got.Page || got.Tag != "tocsin-42" || got.Seen != p.Seen {
		t.Errorf("%+v %v", got, err)
	}
	vapid(t, h.Get("Authorization"), s.URL, sender.(*push).keys.Public)
	for status, want := range map[int]string{404: "permanent: this browser has switched notifications off", 410: "permanent: this browser has switched notifications off",
		403: "permanent: the push service does not accept the key of this server; switch notifications on in this browser again", 413: "permanent: the push service answered 413",
		429: "temporary after 9s: the push service wants fewer messages", 500: "temporary after 9s: the push service answered 500"} {
		s.status = status
		s.header["Retry-After"] = "9"
		check(t, http.StatusText(status), outcome(sender.Send(t.Context(), p)), want)
	}
	p.Route.Push.Keys.P256dh = b64.EncodeToString([]byte("no point"))
	check(t, "keys", outcome(sender.Send(t.Context(), p)), "permanent: the keys of this browser are not good; switch notifications on in it again")
}

// vapid checks the sender's name after RFC 8292: a JWT signed with ES256 by the key beside it, for this push service, that ends within a day.
func vapid(t *testing.T, header, audience, public string) {
	t.Helper()
	token, key, ok := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	if !ok || key != public {
		t.Fatalf("%q", header)
	}
	parts := strings.Split(token, ".")
	point, _ := b64.DecodeString(key)
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil || len(parts) != 3 {
		t.Fatal(err)
	}
	sig, _ := b64.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(sig) != 64 || !ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Fatal("the signature is not good")
	}
	raw, _ := b64.DecodeString(parts[1])
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims.Aud != audience || claims.Sub != "mailto:ops@example.org" || claims.Exp > time.Now().Add(24*time.Hour).Unix() || claims.Exp < time.Now().Unix() {
		t.Fatalf("%s %v", raw, err)
	}
}

func TestLongPushesFit(t *testing.T) {
	for _, text := range []string{strings.Repeat("a", 9000), strings.Repeat("€", 4000), strings.Repeat("\x01", 3000), strings.Repeat("<", 3000)} {
		s := provider(t, 201, "")
		sender, p := pushTo(t, s.URL)
		p.Route.Private = true
		p.Text.Subject, p.Text.Body, p.Text.URL = text, text, "https://tocsin.example/"+text
		if got := outcome(sender.Send(t.Context(), p)); !strings.HasPrefix(got, "taken") || len(s.bodies[0]) > 4096 {
			t.Errorf("%.10q: %s, %d bytes", text, got, len(s.bodies[0]))
		}
	}
}
