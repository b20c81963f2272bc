package desk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/outbox"
	"github.com/tocsin-ops/tocsin/views"
)

// route is a page of the front itself.
type route struct {
	pattern string
	answer  http.HandlerFunc
}

// routes are all of them; ctx ends those that go on.
func (d *Desk) routes(ctx context.Context) []route {
	return []route{
		{"GET /.desk/assets/{name...}", d.asset},
		{"GET /.desk/start", d.startPage},
		{"GET /.desk/join", d.joinPage},
		{"POST /.desk/join", d.joinForm},
		{"POST /.desk/dismiss", d.dismiss},
		{"POST /.desk/here", d.roomForm},
		{"POST /.desk/room", d.roomForm},
		{"POST /.desk/forget", d.forgetForm},
		{"POST /.desk/again", d.againForm},
		{"GET /.desk/signin", d.signInPage},
		{"POST /.desk/signin", d.signInForm},
		{"POST /.desk/account", d.account},
		{"GET /.desk/settings", d.settingsPage},
		{"POST /.desk/settings", d.settingsForm},
		{"POST /.desk/sound", d.sound},
		{"POST /.desk/network", d.networkForm},
		{"POST /.desk/port", d.portForm},
		{"GET /.desk/way", d.wayPage},
		{"GET /.desk/about", d.aboutPage},
		{"GET /.desk/notes", d.notesPage},
		{"GET /.desk/outbox", d.outboxOf("")},
		{"POST /.desk/outbox/{id}/discard", d.discardOf("")},
		{"POST /.desk/open", d.browse},
		{"POST /.desk/do", d.doForm},
		{"GET /.desk/state", d.state},
		{"GET /.desk/state/follow", func(w http.ResponseWriter, r *http.Request) { d.followState(ctx, w, r, "") }},
		{"/", d.elsewhere},
	}
}

// calls are what pages of a room may use, as long as that room is open: its own notes, how it is reached, and keys of the window. Nothing of it tells of
// another room or changes what is set for good.
func (d *Desk) calls(ctx context.Context, key string) []route {
	its := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if d.book.read().key() != key {
				problem(w, http.StatusConflict, "not_open", "This room is not open any more.")
				return
			}
			f(w, r)
		}
	}
	return []route{
		{"GET /.desk/assets/{name...}", d.asset},
		{"POST /.desk/again", its(d.againForm)},
		{"GET /.desk/outbox", its(d.outboxOf(key))},
		{"POST /.desk/outbox/{id}/discard", its(d.discardOf(key))},
		{"POST /.desk/open", its(d.browseSlowly)},
		{"POST /.desk/do", its(d.doForRoom)},
		{"GET /.desk/state", its(d.state)},
		{"GET /.desk/state/follow", its(func(w http.ResponseWriter, r *http.Request) { d.followState(ctx, w, r, key) })},
	}
}

func (d *Desk) ownPages(ctx context.Context) http.Handler {
	m := http.NewServeMux()
	for _, r := range d.routes(ctx) {
		m.HandleFunc(r.pattern, r.answer)
	}
	return m
}

func (d *Desk) elsewhere(w http.ResponseWriter, r *http.Request) {
	if !document(r) {
		problem(w, http.StatusNotFound, "not_found", "There is no such page.")
		return
	}
	d.write(w, r, http.StatusNotFound, views.DeskPauseView(views.DeskPausePage{DeskBase: d.base("Not found"), Heading: "There is no such page", Says: "The address is wrong. Choose from the menu."}))
}

func (d *Desk) base(title string) views.DeskBase {
	s := d.book.read()
	b := views.DeskBase{Title: title, Build: d.o.Version, Behind: s.Mode != Unchosen, Room: d.roomName(s)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told.text != "" {
		b.Notice = &views.Notice{Kind: d.told.kind, Text: d.told.text}
		d.told = saying{}
	}
	return b
}

func (d *Desk) roomName(s Settings) string {
	switch s.Mode {
	case Here:
		return "This computer"
	case Joined:
		r, _ := s.remote(s.Room)
		return r.Name
	}
	return ""
}

func (d *Desk) write(w http.ResponseWriter, r *http.Request, status int, t templ.Component) {
	var b bytes.Buffer
	if err := t.Render(r.Context(), &b); err != nil {
		d.o.Log.Error("draw a page", "err", err)
		http.Error(w, "This page could not be drawn.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// back leads to a page of ours with a sentence, when there is one.
func (d *Desk) back(w http.ResponseWriter, r *http.Request, page, kind, sentence string) {
	if sentence != "" {
		d.mu.Lock()
		d.told = saying{kind, sentence, true}
		d.mu.Unlock()
	}
	http.Redirect(w, r, page, http.StatusSeeOther)
}

func (d *Desk) pausePage(w http.ResponseWriter, r *http.Request, t *trouble) {
	p := views.DeskPausePage{DeskBase: d.base("The room"), Heading: "The room is not open", Says: t.sentence, Remedy: t.remedy, Again: t.again}
	if !t.again {
		p.Heading = "One moment"
	}
	d.write(w, r, http.StatusServiceUnavailable, views.DeskPauseView(p))
}

func (d *Desk) startPage(w http.ResponseWriter, r *http.Request) {
	s := d.book.read()
	p := views.DeskStartPage{DeskBase: d.base("Rooms"), First: s.Mode == Unchosen && len(s.Rooms) == 0, Here: s.Mode == Here, HasHere: d.hasHere()}
	slices.SortStableFunc(s.Rooms, func(a, b Remote) int { return cmp.Compare(b.LastUsed, a.LastUsed) })
	for _, k := range s.Rooms {
		p.Rooms = append(p.Rooms, views.DeskRoom{ID: k.ID, Name: k.Name, URL: k.URL, Current: s.Mode == Joined && s.Room == k.ID, LastUsed: k.LastUsed, Pinned: k.Pin != "", Unsent: d.unsent(k.ID)})
	}
	d.write(w, r, http.StatusOK, views.DeskStartView(p))
}

// roomForm opens the room in this computer, or a remembered one.
func (d *Desk) roomForm(w http.ResponseWriter, r *http.Request) {
	id := ""
	if r.URL.Path == "/.desk/room" {
		if id = r.PostFormValue("id"); id == "" {
			d.back(w, r, "/.desk/start", "", "")
			return
		}
	}
	if said := d.turn(id); said != "" {
		d.back(w, r, "/.desk/start", "refused", said)
		return
	}
	d.back(w, r, "/", "", "")
}

func (d *Desk) forgetForm(w http.ResponseWriter, r *http.Request) {
	id := r.PostFormValue("id")
	if n := d.unsent(id); n > 0 && r.PostFormValue("unsent") != strconv.Itoa(n) {
		d.back(w, r, "/.desk/start", "refused", "Nothing was forgotten: there are notes to this room that are not sent, and they would be lost. Look under Forget how many, and press it again if that is right.")
		return
	}
	d.back(w, r, "/.desk/start", "refused", d.forget(id))
}

// unsent is how many notes to a room elsewhere wait or were refused.
func (d *Desk) unsent(id string) int {
	if _, known := d.book.read().remote(id); !known {
		return 0
	}
	n, err := outbox.Count(filepath.Join(d.roomDir(id), "outbox"))
	if err != nil {
		d.o.Log.Error("count the notes that are not sent", "err", err)
	}
	return n
}

// againForm tries once more to open the room.
func (d *Desk) againForm(w http.ResponseWriter, r *http.Request) {
	d.again()
	d.back(w, r, "/", "", "")
}

func (d *Desk) aboutPage(w http.ResponseWriter, r *http.Request) {
	p := views.DeskAboutPage{DeskBase: d.base("About"), Version: d.o.Version, Go: runtime.Version() + " for " + runtime.GOOS + " " + runtime.GOARCH, Dir: filepath.Clean(d.o.Dir)}
	if now := d.now(); now != nil {
		p.Address = now.base.String()
	}
	d.write(w, r, http.StatusOK, views.DeskAboutView(p))
}

// wayPage says how the way to the room is.
func (d *Desk) wayPage(w http.ResponseWriter, r *http.Request) {
	p := views.DeskPausePage{DeskBase: d.base("The way to the room"), Heading: "No room is open", Says: "Choose one under Rooms."}
	if now := d.now(); now != nil {
		p.Heading = now.name
		switch reach := now.room.Reach(); {
		case reach.Up:
			p.Says = "The room answers."
		case reach.Trouble != nil:
			p.Says, p.Remedy = reach.Trouble.Sentence, reach.Trouble.Remedy
			if reach.Trouble.Fingerprint != "" {
				p.Rejoin = now.base.String()
			}
		default:
			p.Says = "It is not known yet whether the room answers."
		}
	}
	d.write(w, r, http.StatusOK, views.DeskPauseView(p))
}

func (d *Desk) notesPage(w http.ResponseWriter, r *http.Request) {
	p := views.DeskNotesPage{DeskBase: d.base("Notes that are not sent"), Up: true}
	if now := d.now(); now != nil {
		p.Up = now.room.Reach().Up
		for _, it := range now.items() {
			n := views.DeskNote{ID: it.ID, Incident: it.Incident, Line: it.Line, WrittenAt: it.WrittenAt}
			if who := now.room.Handle(); it.By != "" && who != "" && it.By != who {
				n.Held = "@" + it.By + " wrote this. It is sent when @" + it.By + " is signed in here, and never as @" + who + "."
			}
			if it.State == outbox.StateRefused {
				n.Refused = it.Reason
			}
			p.Notes = append(p.Notes, n)
		}
	}
	d.write(w, r, http.StatusOK, views.DeskNotesView(p))
}

// items are the notes that wait or were refused.
func (p *place) items() []outbox.Item {
	if p == nil || p.box == nil {
		return nil
	}
	return p.box.Items()
}

// at is the place that is open, if it is this room's; "" is any.
func (d *Desk) at(key string) *place {
	if p := d.now(); p != nil && (key == "" || p.key() == key) {
		return p
	}
	return nil
}

// outboxOf lists the notes of one incident, or of all, for the composer.
func (d *Desk) outboxOf(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		items := []outbox.Item{}
		only, _ := strconv.Atoi(r.URL.Query().Get("incident"))
		p, who := d.at(key), ""
		if p != nil {
			who = p.room.Handle()
		}
		for _, it := range p.items() {
			if (only == 0 || it.Incident == only) && (it.By == "" || who == "" || it.By == who) {
				items = append(items, it)
			}
		}
		writeJSON(w, map[string]any{"items": items})
	}
}

func (d *Desk) discardOf(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		said := "There is no room open."
		if p := d.at(key); p != nil && p.box != nil {
			said = ""
			if err := p.box.Discard(r.PathValue("id")); err != nil {
				said = unkept(err)
			}
		}
		d.news()
		switch {
		case r.PostFormValue("page") != "":
			d.back(w, r, "/.desk/notes", "refused", said)
		case said != "":
			problem(w, http.StatusConflict, "not_discarded", said)
		default:
			writeJSON(w, map[string]any{})
		}
	}
}

// browse opens an address in the user's own browser.
func (d *Desk) browse(w http.ResponseWriter, r *http.Request) {
	var ask struct{ URL string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		problem(w, http.StatusBadRequest, "bad_json", "The address could not be read.")
		return
	}
	u, err := url.Parse(ask.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || len(ask.URL) > 4096 || u.Host == r.Host || d.Ours(u.String()) {
		problem(w, http.StatusUnprocessableEntity, "bad_address", "This is not an address that a browser can open.")
		return
	}
	d.o.Shell.Browse(u.String())
	writeJSON(w, map[string]any{})
}

// What pages of a room may have opened in the user's own browser: as fast as people press links.
const (
	mostOpens = 5
	opensIn   = 10 * time.Second
)

func (d *Desk) browseSlowly(w http.ResponseWriter, r *http.Request) {
	now := d.o.Clock()
	d.mu.Lock()
	d.opens = slices.DeleteFunc(d.opens, func(t time.Time) bool { return now.Sub(t) >= opensIn || t.After(now) })
	full := len(d.opens) >= mostOpens
	if !full {
		d.opens = append(d.opens, now)
	}
	d.mu.Unlock()
	if full {
		problem(w, http.StatusTooManyRequests, "too_many", "This page opens too many addresses. Wait a moment.")
		return
	}
	d.browse(w, r)
}

// fromPage are the menu items that a page may press.
var fromPage = []string{"zoom.in", "zoom.out", "zoom.reset", "kiosk", "fullscreen", "print"}

func (d *Desk) doForm(w http.ResponseWriter, r *http.Request) { d.doOf(w, r, fromPage) }

// doForRoom: a page of a room may end the wall on the full screen, for which there is no menu, and never begin it: the page would have the whole display.
func (d *Desk) doForRoom(w http.ResponseWriter, r *http.Request) {
	may := fromPage
	if !d.Kiosk() {
		may = slices.DeleteFunc(slices.Clone(fromPage), func(id string) bool { return id == "kiosk" })
	}
	d.doOf(w, r, may)
}

func (d *Desk) doOf(w http.ResponseWriter, r *http.Request, may []string) {
	var ask struct{ ID string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || !slices.Contains(may, ask.ID) {
		problem(w, http.StatusUnprocessableEntity, "unknown", "There is no such thing to do.")
		return
	}
	d.Do(ask.ID)
	writeJSON(w, map[string]any{})
}

func (d *Desk) sound(w http.ResponseWriter, r *http.Request) {
	if wave := attention.Wave(attention.Sound(r.PostFormValue("sound"))); wave != nil {
		d.o.Shell.Sound(wave)
	}
	d.back(w, r, "/.desk/settings", "", "")
}

// stateNow is what pages show of the front.
type stateNow struct {
	Mode     Mode   `json:"mode"`
	Room     string `json:"room"`
	Open     bool   `json:"open"`
	Up       bool   `json:"up"`
	Heard    int64  `json:"heard"` // unix ms, 0 = never
	SignedIn bool   `json:"signed_in"`
	Trouble  string `json:"trouble,omitempty"`
	Waiting  int    `json:"waiting"`
	Refused  int    `json:"refused"`
	Quiet    string `json:"quiet,omitempty"`
	Kiosk    bool   `json:"kiosk"`
	Others   bool   `json:"others"`        // the room in this computer can be reached by others now
	Say      string `json:"say,omitempty"` // once
}

func (d *Desk) stateNow(say bool) stateNow {
	s := d.book.read()
	out := stateNow{Mode: s.Mode, Room: d.roomName(s), Quiet: string(s.quietAt(d.millis()).Mode), Kiosk: d.Kiosk()}
	if p := d.now(); p != nil {
		reach := p.room.Reach()
		out.Open, out.Up, out.SignedIn, out.Others = true, reach.Up, reach.SignedIn, p.network.ln != nil
		if !reach.Heard.IsZero() {
			out.Heard = reach.Heard.UnixMilli()
		}
		if reach.Trouble != nil {
			out.Trouble = strings.TrimSpace(reach.Trouble.Sentence + " " + reach.Trouble.Remedy)
		}
		for _, it := range p.items() {
			if it.State == outbox.StateRefused {
				out.Refused++
			} else {
				out.Waiting++
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if say && !d.told.own {
		out.Say, d.told = d.told.text, saying{}
	}
	return out
}

func (d *Desk) state(w http.ResponseWriter, _ *http.Request) { writeJSON(w, d.stateNow(false)) }

// followState sends the state at each change, as server-sent events, until the page or the program goes, or another room than this is open ("" is any).
func (d *Desk) followState(ctx context.Context, w http.ResponseWriter, r *http.Request, key string) {
	w.Header().Set("Content-Type", "text/event-stream")
	wire := http.NewResponseController(w)
	var last stateNow
	for first := true; ; first = false {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if key != "" && d.book.read().key() != key {
			return
		}
		if now := d.stateNow(true); first || now.telling(last) {
			raw, err := json.Marshal(now)
			if err != nil {
				return
			}
			if _, err := w.Write([]byte("data: " + string(raw) + "\n\n")); err != nil || wire.Flush() != nil {
				return
			}
			last = now
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// telling reports whether s says something that before did not; when the room was heard last is no news while it answers.
func (s stateNow) telling(before stateNow) bool {
	if s.Up && before.Up {
		before.Heard = s.Heard
	}
	return s != before
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
