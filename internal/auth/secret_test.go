package auth

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// TestNoSecretLeaves drives every call that handles a secret, right and wrong,
// and then looks for each secret, whole and in part, in the event log, in what
// was logged, in every error, and (clear text) in the store.
func TestNoSecretLeaves(t *testing.T) {
	const boot = "bootstrap-token-Zq81kLmPw02xYv"
	h := newHouse(t, func(o *Options) { o.BootstrapToken = boot })
	ctx := t.Context()
	secrets := map[string]string{"bootstrap token": boot}
	keep := func(what, secret string) string {
		if len(secret) < 12 {
			t.Fatalf("%s is %q", what, secret)
		}
		secrets[what] = secret
		return secret
	}
	var errs []string
	fail := func(err error) {
		if err == nil {
			t.Fatal("a wrong secret was accepted")
		}
		errs = append(errs, err.Error(), fmt.Sprintf("%+v %#v", err, err))
	}
	first, _, err := h.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	keep("first link", first.Token)
	v := h.visit()
	v.Txn = keep("transaction", "txn-7HgT5rE3wQ9zX")
	ana, err := h.Accept(ctx, first.Token, Choice{Handle: "ana", Name: "Ana"}, v)
	if err != nil {
		t.Fatal(err)
	}
	keep("cookie of ana", ana.Cookie)
	_, err = h.Accept(ctx, first.Token, Choice{Handle: "bo"}, h.visit())
	fail(err)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	link, err := h.Invite(ctx, ana.Actor, Invitation{Handle: "bo", Name: "Bo", Role: RoleResponder})
	must(err)
	keep("invitation", link.Token)
	link, err = h.Resend(ctx, ana.Actor, "bo")
	must(err)
	keep("second invitation", link.Token)
	bo := h.accept(link, Choice{})
	keep("cookie of bo", bo.Cookie)
	again, err := h.SignInLink(ctx, SystemActor("console"), "bo")
	must(err)
	keep("sign-in link", again.Token)
	keep("second cookie of bo", h.accept(again, Choice{}).Cookie)
	_, api, err := h.CreateToken(ctx, ana.Actor, TokenOrder{Name: "CI", Role: RoleResponder})
	must(err)
	_, err = h.Token(ctx, keep("API token", api))
	must(err)
	wall, wallSecret, err := h.CreateWallToken(ctx, ana.Actor, "Wall")
	must(err)
	in, err := h.OpenWall(ctx, keep("wall token", wallSecret), h.visit())
	must(err)
	keep("wall cookie", in.Cookie)
	_, err = h.Token(ctx, api[:len(api)-1]+"0")
	fail(err)
	_, err = h.OpenWall(ctx, api, h.visit())
	fail(err)
	_, err = h.Session(ctx, ana.Cookie+"x")
	fail(err)
	codes, err := h.NewRecoveryCodes(ctx, ana.Actor)
	must(err)
	for i, c := range codes {
		keep(fmt.Sprint("recovery code ", i), c)
		keep(fmt.Sprint("bare recovery code ", i), normalCode(c))
	}
	in, err = h.SignInWithRecovery(ctx, "ana", codes[0], h.visit())
	must(err)
	keep("cookie by recovery", in.Cookie)
	_, err = h.SignInWithRecovery(ctx, "ana", codes[0], h.visit())
	fail(err)
	a := &authenticator{t: t, origin: "http://localhost:8080"}
	p := h.addPasskey(a, ana.Actor)
	in, err = h.login(a)
	must(err)
	keep("cookie by passkey", in.Cookie)
	keep("user handle", string(a.keys[0].user))
	keep("user handle in base64", b64.EncodeToString(a.keys[0].user))
	keep("CSRF token", h.CSRF(ana.Actor))
	keep("key of the store", string(h.Service.key))
	must(h.RevokeToken(ctx, ana.Actor, wall.ID))
	must(h.RevokeSession(ctx, ana.Actor, in.Actor.SessionID))
	must(h.RemovePasskey(ctx, ana.Actor, "ana", p.ID))
	must(h.Rename(ctx, ana.Actor, "bo", "Bo B."))
	must(h.ChangeRole(ctx, ana.Actor, "bo", RoleStakeholder, ""))
	must(h.Remove(ctx, ana.Actor, "bo"))
	must(h.Sweep(ctx))

	var logged, stored bytes.Buffer
	events, err := h.log.Read(ctx, 0, 512)
	must(err)
	if int64(len(events)) != h.log.Size() || len(events) < 15 {
		t.Fatalf("%d events read", len(events))
	}
	for _, e := range events {
		fmt.Fprintf(&logged, "%+v %s\n", e, e.Data)
	}
	for kv, err := range h.db.Scan(ctx, store.Range{}) {
		must(err)
		if !strings.HasPrefix(string(kv.Key), "auth/") {
			logged.Write(kv.Key) // the log's own bytes, whatever their form
			logged.Write(kv.Value)
			continue
		}
		if string(kv.Key) != keyOwn && !strings.HasPrefix(string(kv.Key), keyPersons) { // these hold the key and the user handle
			stored.Write(kv.Key)
			stored.Write(kv.Value)
		}
	}
	for what, secret := range secrets {
		part := secret
		if _, ok := split(secret, tokenPrefix); ok || strings.HasPrefix(secret, linkPrefix) || strings.HasPrefix(secret, sessionPrefix) {
			part = secret[len(secret)-secretDigits:][:16] // the public id before it may appear
		}
		forms := []string{part, hex.EncodeToString([]byte(secret)), hex.EncodeToString(digest(secret)), b64.EncodeToString([]byte(secret))}
		for place, text := range map[string]string{"event log": logged.String(), "slog": h.slog.String(), "errors": strings.Join(errs, "\n"), "store": stored.String()} {
			for i, form := range forms {
				if strings.Contains(text, form) {
					t.Errorf("%s (form %d) is in the %s", what, i, place)
				}
			}
		}
	}
	if !strings.Contains(h.slog.String(), "person=ana") {
		t.Error("the capture of slog shows nothing; the test proves nothing")
	}
}
