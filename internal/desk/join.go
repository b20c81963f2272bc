package desk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/outbox"
	"github.com/tocsin-ops/tocsin/internal/remote"
	"github.com/tocsin-ops/tocsin/views"
)

// wanted is an address as somebody typed or pasted it.
type wanted struct {
	text  string
	base  *url.URL
	enter string // "/join/…" or "/wall/…": signs in there; "" = it does not
	named bool   // the scheme was typed
}

// readWanted takes an address, a sign-in link, or a tocsin://join link.
func readWanted(text string) (wanted, error) {
	text = strings.TrimSpace(text)
	if u, err := url.Parse(text); err == nil && strings.EqualFold(u.Scheme, "tocsin") && strings.EqualFold(u.Host, "join") {
		text = u.Query().Get("link")
	}
	w := wanted{text: text, named: strings.Contains(text, "://")}
	if !w.named && loopback(hostOf(text)) {
		text = "http://" + text
	}
	var err error
	if w.base, err = baseOf(text); err != nil {
		return w, err
	}
	if !w.named && !loopback(w.base.Host) {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return w, errAddress
	}
	for _, p := range []string{"/join/", "/wall/"} {
		if strings.HasPrefix(u.Path, p) && len(u.Path) > len(p) && !strings.Contains(u.Path[len(p):], "/") {
			w.enter = u.EscapedPath()
		}
	}
	return w, nil
}

// loopback reports whether a host is this computer.
func loopback(host string) bool {
	u := url.URL{Host: host}
	name := u.Hostname()
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}

const sayAddress = "This is not an address of a server. It looks like tocsin.example.org, or like the link that somebody sent you."

func (d *Desk) joinPage(w http.ResponseWriter, r *http.Request) {
	p := views.DeskJoinPage{DeskBase: d.base("Join a room")}
	if r.URL.Query().Has("offered") {
		if want, err := readWanted(d.offer(false)); err == nil {
			p.Offered, p.Host, p.Link = true, want.base.Host, want.enter != ""
		}
	}
	d.write(w, r, http.StatusOK, views.DeskJoinView(p))
}

// offer is the link from outside that waits for a yes.
func (d *Desk) offer(take bool) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	link := d.offered
	if take {
		d.offered = ""
	}
	return link
}

func (d *Desk) dismiss(w http.ResponseWriter, r *http.Request) {
	d.offer(true)
	page := "/"
	if d.book.read().Mode == Unchosen {
		page = "/.desk/start"
	}
	d.back(w, r, page, "", "")
}

// joinForm looks who answers at an address, and turns to it when nothing needs to be asked first.
func (d *Desk) joinForm(w http.ResponseWriter, r *http.Request) {
	p := views.DeskJoinPage{Address: r.PostFormValue("address")}
	if r.PostFormValue("offered") != "" {
		p.Address = d.offer(true)
	}
	ask := func(status int, problem, remedy string) {
		p.DeskBase, p.Problem, p.Remedy = d.base("Join a room"), problem, remedy
		d.write(w, r, status, views.DeskJoinView(p))
	}
	want, err := readWanted(p.Address)
	if err != nil {
		ask(http.StatusUnprocessableEntity, sayAddress, "")
		return
	}
	p.Host, p.Link = want.base.Host, want.enter != ""
	if want.base.Scheme == "http" && !loopback(want.base.Host) && r.PostFormValue("plain") == "" {
		p.Plain = true
		ask(http.StatusOK, "", "")
		return
	}
	pin := strings.ToLower(r.PostFormValue("pin"))
	if raw, err := hex.DecodeString(pin); pin != "" && (err != nil || len(raw) != 32) {
		ask(http.StatusUnprocessableEntity, "The fingerprint could not be read.", "Start again.")
		return
	}
	known, before := d.knownBy(want.base)
	if pin == "" && before {
		pin = known.Pin
	}
	hello, why := remote.Probe(r.Context(), want.base, pin, d.o.AnswerIn)
	switch {
	case why != nil && why.Code == remote.CodeNeedsTLS:
		want.base.Scheme = "https"
		hello, why = remote.Probe(r.Context(), want.base, pin, d.o.AnswerIn)
	case why != nil && why.Code == remote.CodePlain && !want.named:
		p.Address, p.Plain = "http://"+strings.TrimPrefix(want.text, "https://"), true
		ask(http.StatusOK, "", "")
		return
	}
	if why != nil && why.Code == remote.CodePinChanged {
		if vouched, none := remote.Probe(r.Context(), want.base, "", d.o.AnswerIn); none == nil { // it has an ordinary certificate now
			pin, hello, why = "", vouched, nil
		}
	}
	if why != nil {
		if why.Fingerprint != "" {
			p.Fingerprint, p.Pin, p.Subject, p.Changed = grouped(why.Fingerprint), why.Fingerprint, why.Subject, why.Code == remote.CodePinChanged
			ask(http.StatusOK, why.Sentence, why.Remedy)
			return
		}
		ask(http.StatusBadGateway, why.Sentence, strings.Replace(why.Remedy, remote.Again, "Try again later.", 1))
		return
	}
	if said := d.join(want.base, pin, hello.Site); said != "" {
		ask(http.StatusInternalServerError, said, "")
		return
	}
	page := "/"
	if want.enter != "" {
		page = want.enter
	}
	d.back(w, r, page, "", "")
}

func (d *Desk) knownBy(base *url.URL) (Remote, bool) {
	for _, k := range d.book.read().Rooms {
		if k.URL == base.String() {
			return k, true
		}
	}
	return Remote{}, false
}

// join remembers a room and turns to it.
func (d *Desk) join(base *url.URL, pin, site string) string {
	if site == "" {
		site = base.Host
	}
	k, known := d.knownBy(base)
	if !known {
		if len(d.book.read().Rooms) >= mostRooms {
			return "Fifty rooms are remembered, and that is the most. Forget one under Rooms."
		}
		k = Remote{ID: strings.ToLower(rand.Text()[:16]), URL: base.String()}
	}
	k.Name, k.Pin, k.LastUsed = clipped(site, mostName), pin, d.millis()
	return d.choose(func(s *Settings) {
		s.Mode, s.Room, s.Last = Joined, k.ID, ""
		for i := range s.Rooms {
			if s.Rooms[i].ID == k.ID {
				s.Rooms[i] = k
				return
			}
		}
		s.Rooms = append(s.Rooms, k)
	})
}

func (d *Desk) signInPage(w http.ResponseWriter, r *http.Request) { d.signIn(w, r, http.StatusOK, "") }

func (d *Desk) signIn(w http.ResponseWriter, r *http.Request, status int, said string) {
	p, why, err := d.await(r.Context())
	switch {
	case errors.Is(err, errUnchosen):
		d.back(w, r, "/.desk/start", "", "")
		return
	case p == nil && why == nil:
		why = &trouble{sentence: "The room is being opened.", again: true}
		fallthrough
	case p == nil:
		d.pausePage(w, r, why)
		return
	}
	if p.mode == Here && !p.app.Founded() {
		page, err := d.ownersPath(r.Context(), p)
		if err == nil {
			d.back(w, r, page, "", "")
			return
		}
		d.o.Log.Error("make the first sign-in link", "err", err)
		said = "The room did not let you in. Quit Tocsin, start it again, and try once more."
	}
	next := localPage(r.FormValue("next"))
	d.write(w, r, status, views.DeskSignInView(views.DeskSignInPage{DeskBase: d.base("Sign in"), Here: p.mode == Here, URL: p.base.String(), Next: next, Problem: said}))
}

// signInForm enters the room in this computer, or follows a sign-in link of a room elsewhere.
func (d *Desk) signInForm(w http.ResponseWriter, r *http.Request) {
	p := d.now()
	switch {
	case p == nil:
		d.back(w, r, "/.desk/signin", "", "")
		return
	case p.mode == Here:
		if !p.app.Founded() {
			d.back(w, r, "/.desk/signin", "", "")
			return
		}
		if err := d.enterAgain(r.Context(), p); err != nil {
			d.o.Log.Error("sign in to the room in this computer", "err", err)
			d.signIn(w, r, http.StatusBadGateway, "The room did not let you in. Ask an administrator of it for a sign-in link, or start Tocsin again.")
			return
		}
		d.back(w, r, localPage(r.PostFormValue("next")), "", "")
		return
	}
	want, err := readWanted(r.PostFormValue("link"))
	switch {
	case err != nil, want.enter == "":
		d.signIn(w, r, http.StatusUnprocessableEntity, "This is not a sign-in link. It contains /join/ and works once; paste the whole of it.")
	case want.base.Host != p.base.Host:
		d.signIn(w, r, http.StatusUnprocessableEntity, "This link belongs to another server, "+clipped(want.base.Host, 100)+". To sign in there, join that room under Rooms.")
	default:
		d.back(w, r, want.enter, "", "")
	}
}

// account opens the person's account at the room in her own browser, where she is signed in and can make a link.
func (d *Desk) account(w http.ResponseWriter, r *http.Request) {
	if p := d.now(); p != nil && p.mode == Joined {
		d.o.Shell.Browse(p.base.String() + "/me")
	}
	d.back(w, r, "/.desk/signin", "", "")
}

// enterHere signs in to the room in this computer when it was entered before: whoever starts this program has its files anyway.
func (d *Desk) enterHere(ctx context.Context, p *place) {
	if !p.app.Founded() {
		return // the first page asks who it is
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if status, err := fetchStatus(ctx, p.room, "/me"); err == nil && status == http.StatusOK {
		return
	}
	if err := d.enterAgain(ctx, p); err != nil {
		d.o.Log.Error("sign in to the room in this computer", "err", err)
	}
}

func fetchStatus(ctx context.Context, room *remote.Room, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	res, err := room.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// ownersPath is the page of a fresh link of the person whose computer this is. It is a secret.
func (d *Desk) ownersPath(ctx context.Context, p *place) (string, error) {
	link, err := p.app.OwnerLink(ctx)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(link)
	if err != nil {
		return "", errors.New("read the owner's link")
	}
	return u.EscapedPath(), nil
}

// enterAgain signs in by such a link.
func (d *Desk) enterAgain(ctx context.Context, p *place) error {
	path, err := d.ownersPath(ctx, p)
	if err != nil {
		return err
	}
	form := url.Values{"txn": {rand.Text()}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("use the owner's link") // err would tell the link
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.room.Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 3 {
		err = errors.New("use the owner's link: the room answers " + res.Status)
	}
	return errors.Join(err, res.Body.Close())
}

// unkept is the sentence of an error of the outbox.
func unkept(err error) string {
	var u *outbox.Unkept
	if errors.As(err, &u) {
		return u.Sentence
	}
	return "This could not be done. Try again."
}
