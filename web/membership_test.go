package web

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
)

var joinLink = regexp.MustCompile(`http://[^"<]*/join/([^"<]+)`)

// link is the one-time link that a page shows.
func (a *answer) link() string {
	a.t.Helper()
	m := joinLink.FindStringSubmatch(a.body)
	if m == nil {
		a.t.Fatalf("%s: no link in\n%s", a.what, head(a.body))
	}
	return "/join/" + m[1]
}

func (h *house) role(handle string) (auth.Role, string) {
	p, _ := h.Auth.Directory().Person(handle)
	return p.Role, p.Audience
}

func TestRolesChange(t *testing.T) {
	h := newHouse(t)
	ana, li := h.ana(), h.member("li", auth.RoleResponder, "")
	ana.get("/people").want(200).has(`action="/people/li/role"`, `action="/people/ana/role"`, `aria-label="Role of Person li"`, `aria-label="Audience of Person li"`)
	li.get("/people").want(200).has("Person li").hasNot("/role", "/disable", "/people/invite")

	ana.post("/people/li/role", "role", "stakeholder", "audience", "clients").want(303)
	if r, a := h.role("li"); r != auth.RoleStakeholder || a != "clients" {
		t.Errorf("li is %s %q", r, a)
	}
	li.get("/incidents").want(403)
	ana.get("/people").want(200).has(`<option value="clients" selected>`)
	// An audience means nothing to a responder.
	ana.post("/people/li/role", "role", "responder", "audience", "clients").want(303)
	if r, a := h.role("li"); r != auth.RoleResponder || a != "" {
		t.Errorf("li is %s %q", r, a)
	}
	for _, c := range []struct {
		handle, role, audience string
		status                 int
		says                   string
	}{
		{"li", "king", "", 422, "The role is administrator, responder or stakeholder."},
		{"li", "stakeholder", "nobody", 422, "There is no audience"},
		{"bo", "responder", "", 404, "There is nobody with the handle bo."},
		{"ana", "responder", "", 422, "Ana Alvarez is the last administrator. Make somebody else administrator first."},
	} {
		a := ana.post("/people/"+c.handle+"/role", "role", c.role, "audience", c.audience).want(c.status).has(c.says)
		if strings.Index(a.body, c.says) > strings.Index(a.body, "<table") {
			t.Errorf("%+v: the refusal stands where nobody sees it", c)
		}
	}
	li.post("/people/li/role", "role", "administrator").want(403)
	ana.csrf = "wrong"
	ana.post("/people/li/role", "role", "administrator").want(403)
	if r, _ := h.role("li"); r != auth.RoleResponder {
		t.Errorf("li is %s", r)
	}

	ana = h.ana()
	ana.post("/people/li/role", "role", "administrator").want(303)
	if a := ana.post("/people/ana/role", "role", "stakeholder", "audience", "regulators").want(303); a.header.Get("Location") != "/status/regulators" {
		t.Errorf("sent to %s", a.header.Get("Location"))
	}
	ana.get("/people").want(403)
}

func TestNameChanges(t *testing.T) {
	h := newHouse(t)
	li := h.member("li", auth.RoleStakeholder, "clients")
	li.get("/me").want(200).has(`value="Person li"`)
	li.post("/me/name", "name", "two\nlines").want(422).has("Give the person a name of one line", "lines")
	li.post("/me/name", "name", " ").want(422)
	li.post("/me/name", "name", " Li <Wei> ").want(303)
	li.get("/me").want(200).has(`value="Li &lt;Wei&gt;"`)
	h.ana().get("/people").want(200).has("Li &lt;Wei&gt;").hasNot("Person li")
	li.csrf = ""
	li.post("/me/name", "name", "Somebody else").want(403)
	h.nobody().post("/me/name", "name", "x").want(401)
	token, _ := h.token(auth.RoleAdministrator, "")
	token.post("/me/name", "name", "x").want(403)
}

func TestInvitationsAreSentAgain(t *testing.T) {
	h := newHouse(t)
	ana := h.ana()
	first := ana.post("/people/invite", "name", "Bo Berg", "role", "responder").want(200).link()
	ana.get("/people").want(200).has(`action="/people/invitations/bo/resend"`).hasNot("/join/")
	a := ana.post("/people/invitations/bo/resend").want(200).has("Bo Berg (@bo)", "and ends ")
	second := a.link()
	if second == first {
		t.Fatal("the same link again")
	}
	ana.get("/people").want(200).hasNot("/join/")
	h.nobody().get(first).want(410)
	h.nobody().get(second).want(200)
	ana.post("/people/invitations/ana/resend").want(404).has("Nobody with the handle ana is waiting to join.")
	h.nobody().post(second).want(303)
	ana.post("/people/invitations/bo/resend").want(404)
	h.member("li", auth.RoleResponder, "").post("/people/invitations/bo/resend").want(403)
}

var txnField = regexp.MustCompile(`name="txn" value="([^"]*)"`)

// txn is what the form on a page drew.
func (a *answer) txn() string {
	a.t.Helper()
	m := txnField.FindStringSubmatch(a.body)
	if m == nil || len(m[1]) < 20 {
		a.t.Fatalf("%s: no txn in\n%s", a.what, head(a.body))
	}
	return m[1]
}

// An answer that got lost on its way is asked for again by sending the same form.
func TestLostAnswers(t *testing.T) {
	h := newHouse(t)
	join := h.ana().post("/people/invite", "name", "Bo Berg", "role", "responder").want(200).link()
	page := h.nobody()
	one, other := page.get(join).want(200).txn(), page.get(join+"?txn=0123456789abcdef").want(200).txn()
	if one == other || other == "0123456789abcdef" {
		t.Fatalf("drawn %q and %q", one, other)
	}
	first := page.post(join, "txn", one).want(303).setCookie(cookieSession)
	again := page.post(join, "txn", one).want(303).setCookie(cookieSession)
	if first == nil || again == nil || first.Value != again.Value {
		t.Errorf("cookies %v and %v", first, again)
	}
	page.post(join, "txn", other).want(410)
	page.post(join).want(410)
	page.post(join + "?txn=" + one).want(410)
	h.late.Add(11 * 60_000)
	page.post(join, "txn", one).want(410)

	codes, err := h.Auth.NewRecoveryCodes(t.Context(), h.admin)
	if err != nil {
		t.Fatal(err)
	}
	drawn := page.get("/signin").want(200).txn()
	refused := page.post("/signin/recovery", "handle", "ana", "code", "wrong", "txn", drawn).want(401)
	if refused.txn() != drawn {
		t.Error("the refused form drew anew")
	}
	send := func(txn string) *answer {
		return page.post("/signin/recovery", "handle", "ana", "code", codes[0], "txn", txn)
	}
	first, again = send(drawn).want(303).setCookie(cookieSession), send(drawn).want(303).setCookie(cookieSession)
	if first == nil || again == nil || first.Value != again.Value {
		t.Errorf("cookies %v and %v", first, again)
	}
	send(one).want(401)
	if left, err := h.Auth.RecoveryCodesLeft(t.Context(), "ana"); err != nil || left != len(codes)-1 {
		t.Errorf("%d codes left, %v", left, err)
	}
}
