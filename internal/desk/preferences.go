package desk

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/views"
)

var soundNames = map[attention.Sound]string{attention.SoundPage: "A page to me"}

func (d *Desk) settingsPage(w http.ResponseWriter, r *http.Request) {
	d.settings(w, r, http.StatusOK, "", nil)
}

// settings draws the page; asking is the network switch that was pressed once.
func (d *Desk) settings(w http.ResponseWriter, r *http.Request, status int, said string, asking *Network) {
	s := d.book.read()
	q := s.quietAt(d.millis())
	p := views.DeskSettingsPage{
		DeskBase: d.base("Settings"), Here: s.Mode == Here, Quiet: string(q.Mode), Until: q.Until, Floor: s.Floor, Kiosk: s.Kiosk, Autostart: s.Autostart,
		Port: s.Port, NetworkOn: s.Network.On, NetworkHost: s.Network.Host, NetworkPort: s.Network.Port, NetworkName: s.Network.Name, Problem: said,
	}
	for _, v := range attention.Sounds {
		label := soundNames[v]
		if label == "" {
			label = strings.ToUpper(string(v))
		}
		p.Sounds = append(p.Sounds, views.DeskAddress{Value: string(v), Label: label})
	}
	n := s.Network
	if asking != nil {
		n = *asking
		p.Asking, p.NetworkOn, p.NetworkHost, p.NetworkPort, p.NetworkName = true, false, n.Host, n.Port, n.Name
	}
	if p.Asking || n.On {
		p.Who = n.who()
	}
	if n.On && !p.Asking {
		p.Who = strings.Replace(p.Who, " can then open", " can open", 1)
	}
	p.Addresses = addressChoices()
	if now := d.now(); now != nil && now.mode == Here {
		p.Local, p.Listening, p.NetworkFail = now.base.String(), now.network.url, now.network.fail
		if c := now.network.certificate(); c != nil {
			p.Fingerprint, p.Expires = grouped(fingerprint(c)), c.NotAfter.UnixMilli()
		}
	} else if s.Network.On {
		p.NetworkFail = "The room is being opened. Load this page again in a moment."
	}
	d.write(w, r, status, views.DeskSettingsView(p))
}

// settingsForm saves what is about the window and the person.
func (d *Desk) settingsForm(w http.ResponseWriter, r *http.Request) {
	q := Quiet{Mode: attention.Quiet(r.PostFormValue("quiet"))}
	switch hours := r.PostFormValue("hours"); {
	case q.Mode == attention.Loud:
	case hours == "keep":
		q.Until = d.book.read().Quiet.Until
	default:
		if h, err := strconv.Atoi(hours); err == nil && h > 0 && h <= 24*7 {
			q.Until = d.o.Clock().Add(time.Duration(h) * time.Hour).UnixMilli()
		}
	}
	before := d.book.read()
	kiosk, auto := r.PostFormValue("kiosk") != "", r.PostFormValue("autostart") != ""
	said := d.set(func(s *Settings) {
		s.Quiet, s.Floor, s.Autostart = q, r.PostFormValue("floor"), auto
		*s = s.mended()
	})
	if said == "" && kiosk != before.Kiosk {
		said = d.turnKiosk(kiosk)
	} else if said == "" && auto != before.Autostart {
		said = d.autostart(d.book.read())
	}
	if said != "" {
		d.back(w, r, "/.desk/settings", "refused", said)
		return
	}
	d.back(w, r, "/.desk/settings", "done", "Saved.")
}

// networkForm lets others reach the room in this computer, after it was said who that is, or ends that.
func (d *Desk) networkForm(w http.ResponseWriter, r *http.Request) {
	if d.book.read().Mode != Here {
		d.back(w, r, "/.desk/settings#network", "refused", "Open the room in this computer first.")
		return
	}
	if r.PostFormValue("on") == "" {
		said := d.choose(func(s *Settings) { s.Network.On = false })
		d.back(w, r, "/.desk/settings#network", "refused", said)
		return
	}
	n := Network{On: true, Host: r.PostFormValue("host"), Name: strings.ToLower(strings.TrimSpace(r.PostFormValue("name")))}
	n.Port, _ = strconv.Atoi(r.PostFormValue("port"))
	if said := n.check(); said != "" {
		d.settings(w, r, http.StatusUnprocessableEntity, said, nil)
		return
	}
	if r.PostFormValue("sure") == "" {
		d.settings(w, r, http.StatusOK, "", &n)
		return
	}
	if said := d.choose(func(s *Settings) { s.Network = n }); said != "" {
		d.back(w, r, "/.desk/settings#network", "refused", said)
		return
	}
	ctx := r.Context()
	said := ""
	if p, _, _ := d.await(ctx); p != nil && p.network.ln != nil { // so that the page can show the fingerprint
		said = "Others can reach the room now."
	}
	d.back(w, r, "/.desk/settings#network", "done", said)
}

// portForm gives the room in this computer a port of its own on loopback.
func (d *Desk) portForm(w http.ResponseWriter, r *http.Request) {
	port, err := strconv.Atoi(r.PostFormValue("port"))
	if err != nil || port < 0 || port > 65535 {
		d.settings(w, r, http.StatusUnprocessableEntity, "A port is a number from 1 to 65535, or 0 for any free one.", nil)
		return
	}
	change := d.set
	if d.book.read().Mode == Here {
		change = d.choose
	}
	said := change(func(s *Settings) { s.Port = port })
	if said != "" {
		d.back(w, r, "/.desk/settings#programs", "refused", said)
		return
	}
	if d.book.read().Mode == Here {
		_, _, _ = d.await(r.Context())
	}
	d.back(w, r, "/.desk/settings#programs", "done", "Saved.")
}
