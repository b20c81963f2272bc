package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/attention"
)

// docsAddress is what Help leads to, in the user's own browser.
const docsAddress = "https://github.com/tocsin-ops/tocsin/tree/main/docs"

// Do carries out a menu item, by its ID. It does not block; an ID that is none does nothing.
func (d *Desk) Do(id string) {
	verb, rest, _ := strings.Cut(id, ":")
	switch verb {
	case "page":
		if localPage(rest) == rest {
			d.o.Shell.Go(rest)
		}
	case "line":
		text := ""
		if rest != "" {
			text = rest + " "
		}
		d.inPage(map[string]string{"do": "compose", "text": text})
	case "palette", "keys", "zone", "back", "forward", "reload":
		d.inPage(map[string]string{"do": verb})
	case "room":
		d.soon(func(context.Context) { d.openRoom(rest) })
	case "zoom.in":
		d.zoom(func(s Settings) float64 { return s.zoomed(1) })
	case "zoom.out":
		d.zoom(func(s Settings) float64 { return s.zoomed(-1) })
	case "zoom.reset":
		d.zoom(func(Settings) float64 { return 1 })
	case "fullscreen":
		d.soon(func(context.Context) { d.turnFullscreen() })
	case "kiosk":
		d.soon(func(context.Context) { d.turnKiosk(!d.Kiosk()) })
	case "print":
		d.o.Shell.Print()
	case "pdf":
		d.o.Shell.SavePDF(d.pdfName())
	case "quiet":
		d.soon(func(context.Context) { d.turnQuiet(rest) })
	case "docs":
		d.o.Shell.Browse(docsAddress)
	case "quit":
		d.o.Shell.Quit()
	}
}

// inPage hands the page something to do: its scripts know how.
func (d *Desk) inPage(detail map[string]string) {
	raw, err := json.Marshal(detail) // escapes what could end a script
	if err != nil {
		return
	}
	d.o.Shell.Run("document.dispatchEvent(new CustomEvent('tocsin:desk',{detail:" + string(raw) + "}))")
}

func (d *Desk) zoom(to func(Settings) float64) {
	d.soon(func(context.Context) {
		if d.set(func(s *Settings) { s.Zoom = to(*s) }) == "" {
			d.o.Shell.Zoom(d.book.read().zoom())
		}
	})
}

func (d *Desk) turnFullscreen() {
	w := d.book.read().Window
	w.Fullscreen = !w.Fullscreen
	d.book.later(func(s *Settings) { s.Window.Fullscreen = w.Fullscreen })
	d.o.Shell.Fullscreen(w.Fullscreen)
}

// turnKiosk switches the wall on the full screen on or off, for this start and the next.
func (d *Desk) turnKiosk(on bool) string {
	said := d.set(func(s *Settings) { s.Kiosk = on })
	if said != "" {
		return said
	}
	d.mu.Lock()
	d.kiosk = false
	d.mu.Unlock()
	if on {
		d.withdrawAll()
	}
	d.o.Shell.Kiosk(on)
	d.o.Shell.MenuChanged()
	if d.book.read().Mode != Unchosen {
		page := "/"
		if on {
			page = "/wall"
		}
		d.o.Shell.Go(page)
	}
	d.minded()
	return d.autostart(d.book.read())
}

// minded keeps the display awake while the wall is shown.
func (d *Desk) minded() {
	d.mu.Lock()
	wall := d.page == "/wall"
	d.mu.Unlock()
	d.o.Shell.Awake(wall || d.Kiosk())
}

// autostart makes the system start the program as the settings say, and returns a sentence when it cannot.
func (d *Desk) autostart(s Settings) string {
	var args []string
	if s.Kiosk {
		args = []string{"--kiosk"}
	}
	if err := d.o.Shell.Autostart(s.Autostart, args); err != nil {
		d.o.Log.Error("start with the computer", "err", err)
		return "This computer did not let Tocsin change what starts when you log in. Everything else is saved."
	}
	return ""
}

// turnQuiet takes a mode, and after a colon for how many hours.
func (d *Desk) turnQuiet(wish string) {
	mode, hours, _ := strings.Cut(wish, ":")
	q := Quiet{Mode: attention.Quiet(mode)}
	if h, err := strconv.Atoi(hours); err == nil && h > 0 && h <= 24*7 {
		q.Until = d.o.Clock().Add(time.Duration(h) * time.Hour).UnixMilli()
	}
	d.set(func(s *Settings) { s.Quiet = q; *s = s.mended() })
}

// openRoom turns to a room and shows it, or the page that says why not.
func (d *Desk) openRoom(id string) {
	if said := d.turn(id); said != "" {
		d.tell("refused", said)
		d.o.Shell.Go("/.desk/start")
		return
	}
	d.o.Shell.Go("/")
}

// turn turns to the room in this computer ("") or to a remembered one; one that is open stays so. It returns a sentence when it cannot.
func (d *Desk) turn(id string) string {
	s := d.book.read()
	if id == "" {
		if s.Mode == Here {
			return ""
		}
		return d.choose(func(s *Settings) { s.Mode, s.Room, s.Last = Here, "", "" })
	}
	if _, ok := s.remote(id); !ok {
		return "This room is not remembered any more."
	}
	if s.Mode == Joined && s.Room == id {
		return ""
	}
	return d.choose(func(s *Settings) { s.Mode, s.Room, s.Last = Joined, id, ""; d.used(s, id) })
}

func (d *Desk) used(s *Settings, id string) {
	for i := range s.Rooms {
		if s.Rooms[i].ID == id {
			s.Rooms[i].LastUsed = d.millis()
		}
	}
}

var incidentPage = regexp.MustCompile(`^/incidents/([0-9]{1,12})(/|\?|$)`)

// pdfName is the name proposed for the page that is shown.
func (d *Desk) pdfName() string {
	d.mu.Lock()
	page := d.page
	d.mu.Unlock()
	what := "page"
	if m := incidentPage.FindStringSubmatch(page); m != nil {
		what = "incident " + m[1]
	} else if name := strings.Trim(strings.SplitN(page, "?", 2)[0], "/"); name == "" {
		what = "board"
	} else if name := strings.ReplaceAll(name, "/", " "); len(name) < 60 && regexp.MustCompile(`^[a-z0-9 -]+$`).MatchString(name) {
		what = name
	}
	return fmt.Sprintf("Tocsin %s %s.pdf", what, d.o.Clock().UTC().Format("2006-01-02 1504"))
}

// Opened shows the page of a notice that somebody pressed.
func (d *Desk) Opened(page string) {
	d.o.Shell.Raise()
	d.o.Shell.Go(localPage(page))
}

// Acknowledge says in the room that the person has it. When that fails, the page of the incident is shown with the reason.
func (d *Desk) Acknowledge(number int64) {
	d.soon(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		said := "There is no room open. Open it and acknowledge there."
		if p := d.now(); p != nil {
			path := fmt.Sprintf("/incidents/%d/commands", number)
			status, answer, err := p.room.Post(ctx, path, map[string]any{"id": uuid.NewString(), "command": "acknowledge", "args": map[string]any{}})
			if err == nil && status/100 == 2 {
				return
			}
			var says struct{ Detail string }
			_ = json.Unmarshal(answer, &says)
			if said = says.Detail; said == "" {
				said = "It is not known whether your answer arrived. Look at the incident and acknowledge there."
			}
		}
		d.o.Shell.Notify(attention.Notice{
			Key: fmt.Sprintf("desk:ack/%d", number), Severity: "SEV3", Title: fmt.Sprintf("#%d is not acknowledged", number), Body: said,
			Path: fmt.Sprintf("/incidents/%d", number), Sticky: true,
		})
	})
}

// Arrived takes the arguments of this start, or of a further one: links (tocsin://…) and --kiosk. Before the window is there they decide what it shows first.
func (d *Desk) Arrived(args []string) {
	for _, a := range args {
		switch {
		case a == "--kiosk":
			d.mu.Lock()
			d.kiosk = true
			d.mu.Unlock()
			d.withdrawAll()
			d.o.Shell.Kiosk(true)
			d.minded()
			d.lead("/wall")
		case strings.HasPrefix(strings.ToLower(a), "tocsin:"):
			d.link(a)
		}
	}
	if len(args) == 0 {
		d.o.Shell.Raise()
	}
}

// lead shows a page now, or first when there is no window yet.
func (d *Desk) lead(page string) {
	d.mu.Lock()
	d.first = page
	select {
	case <-d.wait.ready:
		d.first = ""
	default:
	}
	now := d.first == ""
	d.mu.Unlock()
	if now {
		d.o.Shell.Raise()
		d.o.Shell.Go(page)
	}
}

// link follows a link from outside. Any page of any site may have sent it: it never joins, sends or changes anything by itself.
func (d *Desk) link(text string) {
	unknown := func() {
		d.tell("told", "A link from outside could not be followed: Tocsin knows tocsin://incident/NUMBER and tocsin://join?link=ADDRESS.")
		d.lead("/.desk/start")
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > 4096 {
		unknown()
		return
	}
	switch strings.ToLower(u.Host) {
	case "incident":
		n, err := strconv.ParseInt(strings.Trim(u.Path, "/"), 10, 64)
		if err != nil || n < 1 || n > 1<<40 {
			unknown()
			return
		}
		if d.book.read().Mode == Unchosen {
			d.tell("told", fmt.Sprintf("A link asks for incident #%d. Choose the room that it is in first.", n))
			d.lead("/.desk/start")
			return
		}
		d.lead(fmt.Sprintf("/incidents/%d", n))
	case "join":
		offer := u.Query().Get("link")
		if _, err := baseOf(offer); err != nil || !strings.Contains(offer, "://") {
			unknown()
			return
		}
		d.mu.Lock()
		d.offered = offer
		d.mu.Unlock()
		d.lead("/.desk/join?offered=yes")
	default:
		unknown()
	}
}
