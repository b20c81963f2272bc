package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/whole"
)

// settingsFile is the name of the settings in the user's directory for Tocsin.
const settingsFile = "desk.json"

// Bounds of what is remembered.
const (
	mostSettings = 1 << 20 // bytes of the file
	mostRooms    = 50
	mostName     = 80 // characters of a room's name
	mostPath     = 512
)

// Mode is which room stands behind the front.
type Mode string

// The modes.
const (
	Unchosen Mode = "" // the first start
	Here     Mode = "here"
	Joined   Mode = "joined"
)

// Settings are what is remembered from one start to the next.
type Settings struct {
	Mode      Mode        `json:"mode"`
	Room      string      `json:"room,omitempty"` // id of the joined room
	Rooms     []Remote    `json:"rooms,omitempty"`
	Zoom      float64     `json:"zoom,omitempty"` // 0 is 1
	Window    WindowState `json:"window"`
	Kiosk     bool        `json:"kiosk,omitempty"`
	Autostart bool        `json:"autostart,omitempty"`
	Quiet     Quiet       `json:"quiet"`
	Floor     string      `json:"floor,omitempty"` // mildest severity that is shown; "" is all
	Network   Network     `json:"network"`
	Port      int         `json:"port,omitempty"` // of the room in this computer on loopback; 0 = any free one
	Last      string      `json:"last,omitempty"` // page that was shown last
}

// Remote is a room elsewhere that is remembered.
type Remote struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	URL      string `json:"url"`           // scheme and host
	Pin      string `json:"pin,omitempty"` // fingerprint of a certificate that a person compared
	LastUsed int64  `json:"last_used"`     // unix ms
}

// Quiet is what is held back, and until when.
type Quiet struct {
	Mode  attention.Quiet `json:"mode,omitempty"`
	Until int64           `json:"until,omitempty"` // unix ms; 0 = until it is switched off
}

// Network is whether others may reach the room in this computer.
type Network struct {
	On   bool   `json:"on,omitempty"`
	Host string `json:"host,omitempty"` // address of this computer, or everyAddress
	Port int    `json:"port,omitempty"`
	Name string `json:"name,omitempty"` // by which others reach it; "" = Host
}

// errSettings is wrapped by errors of files that hold no settings.
var errSettings = errors.New("these are not settings")

// book keeps the Settings on disk. Each change is there whole before anybody is told.
type book struct {
	path string
	mu   sync.Mutex
	s    Settings
	soon bool // there is something that may be written later
}

// openBook reads the settings of dir; none are those of a first start. A file that cannot be understood is put aside, and said says so: nobody loses the
// window over it.
func openBook(dir string) (b *book, said string, err error) {
	b = &book{path: filepath.Join(dir, settingsFile)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("make the directory %s: %w", dir, err)
	}
	raw, err := readMost(b.path, mostSettings)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.s = b.s.mended()
		return b, "", nil
	case err != nil && !errors.Is(err, errSettings):
		return nil, "", fmt.Errorf("read the settings: %w", err)
	}
	if err == nil {
		err = json.Unmarshal(raw, &b.s)
	}
	if err != nil {
		b.s = Settings{}
		aside := b.path + ".broken"
		if err := os.Rename(b.path, aside); err != nil {
			return nil, "", fmt.Errorf("put broken settings aside: %w", err)
		}
		said = "The settings could not be read and start anew. What was there is kept in " + aside + ". Rooms and their content are not touched."
	}
	b.s = b.s.mended()
	return b, said, nil
}

func readMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%w: over %d bytes", errSettings, most)
	}
	return raw, err
}

// mended is s without what cannot be: somebody may have edited the file.
func (s Settings) mended() Settings {
	rooms := []Remote{}
	for _, r := range s.Rooms {
		base, err := baseOf(r.URL)
		if err != nil || r.ID == "" || strings.ContainsAny(r.ID, `/\.`) || len(rooms) == mostRooms {
			continue
		}
		r.URL, r.Name = base.String(), clipped(r.Name, mostName)
		rooms = append(rooms, r)
	}
	s.Rooms = rooms
	if _, ok := s.remote(s.Room); s.Mode == Joined && !ok || s.Mode != Joined && s.Mode != Here {
		s.Mode, s.Room = Unchosen, ""
	}
	if s.Zoom < zooms[0] || s.Zoom > zooms[len(zooms)-1] {
		s.Zoom = 1
	}
	if !slices.Contains(quiets, s.Quiet.Mode) {
		s.Quiet = Quiet{}
	}
	if !slices.Contains(floors, s.Floor) {
		s.Floor = ""
	}
	if s.Port < 0 || s.Port > 65535 {
		s.Port = 0
	}
	if s.Network.Port < 1 || s.Network.Port > 65535 {
		s.Network.Port = usualPort
	}
	if s.Network.Host == "" || s.Network.check() != "" {
		s.Network.On = false
	}
	if !kept(s.Last) {
		s.Last = ""
	}
	return s
}

func (s Settings) remote(id string) (Remote, bool) {
	for _, r := range s.Rooms {
		if r.ID == id {
			return r, true
		}
	}
	return Remote{}, false
}

// quietAt is the quiet mode at a time (unix ms).
func (s Settings) quietAt(now int64) Quiet {
	if s.Quiet.Until > 0 && now >= s.Quiet.Until {
		return Quiet{}
	}
	return s.Quiet
}

func (s Settings) rules() attention.Rules {
	return attention.Rules{Floor: s.Floor, Quiet: s.Quiet.Mode, Until: s.Quiet.Until}
}

// read is what is set now; its slices are the caller's.
func (b *book) read() Settings {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.s.copied()
}

func (s Settings) copied() Settings {
	s.Rooms = slices.Clone(s.Rooms)
	return s
}

// change writes what f makes of the settings. After an error they are as they were.
func (b *book) change(f func(*Settings)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.s.copied()
	f(&s)
	return b.write(s)
}

// later changes what may be lost in a crash, like where the window is; flush writes it.
func (b *book) later(f func(*Settings)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.s)
	b.soon = true
}

func (b *book) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.soon {
		return nil
	}
	return b.write(b.s)
}

func (b *book) write(s Settings) error {
	raw, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	if err := whole.Replace(b.path, func(w io.Writer) error { _, err := w.Write(append(raw, '\n')); return err }); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	b.s, b.soon = s, false
	return nil
}

// flushEvery is how long the place of the window may be only in memory.
const flushEvery = 2 * time.Second

// baseOf is scheme and host of an address as people type it; without a scheme it is https.
func baseOf(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if len(text) > 2048 {
		return nil, errAddress
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, errAddress
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

var errAddress = errors.New("no address of a server")

func clipped(s string, most int) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, ""))
	for utf8.RuneCountInString(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// secretPaths begin addresses that carry a secret, or are no place to come back to.
var secretPaths = []string{"/.desk/", "/join/", "/signin", "/signout", "/page/", "/wall/", "/calendar/", "/auth/", "/api/", "/assets/", "/me/notifications/", "/live"}

// kept reports whether a page may be remembered: it is ours, short, and holds no secret.
func kept(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || len(path) > mostPath || strings.ContainsAny(path, "\\\r\n\x00") {
		return false
	}
	for _, p := range secretPaths {
		if strings.HasPrefix(path, p) {
			return false
		}
	}
	return true
}
