package desk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

func open(t *testing.T, dir string) (*book, string) {
	t.Helper()
	b, said, err := openBook(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b, said
}

// TestSettingsSurviveACrash: at whichever byte of a write the power goes, the next start has the settings of before the change or of after it, never others,
// and can change them again.
func TestSettingsSurviveACrash(t *testing.T) {
	changes := []func(*Settings){
		func(s *Settings) { s.Mode = Here },
		func(s *Settings) { s.Zoom, s.Kiosk, s.Floor = 1.25, true, "SEV3" },
		func(s *Settings) {
			s.Rooms = append(s.Rooms, Remote{ID: "a", Name: "Meridian", URL: "https://a.example"})
		},
		func(s *Settings) { s.Mode, s.Room, s.Last = Joined, "a", "/incidents/4" },
		func(s *Settings) { s.Network = Network{On: true, Host: "192.0.2.7", Port: 8443} },
		func(s *Settings) { s.Rooms, s.Mode, s.Room = nil, Unchosen, "" },
	}
	dir := t.TempDir()
	b, _ := open(t, dir)
	for i, change := range changes {
		before := b.read()
		old, _ := os.ReadFile(b.path)
		if err := b.change(change); err != nil {
			t.Fatal(err)
		}
		after, raw := b.read(), must(os.ReadFile(b.path))
		for n := 0; n <= len(raw); n += 1 + n/16 {
			crashed := t.TempDir()
			path := filepath.Join(crashed, settingsFile)
			if len(old) > 0 {
				if err := os.WriteFile(path, old, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(whole.Temp(path), raw[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			c, said := open(t, crashed)
			if got := c.read(); said != "" || !same(got, before) {
				t.Fatalf("change %d, %d bytes written: %+v (%s), want %+v", i, n, got, said, before)
			}
			if err := c.change(change); err != nil || !same(c.read(), after) {
				t.Fatalf("change %d after a crash: %v, %+v", i, err, c.read())
			}
		}
		again, said := open(t, dir)
		if said != "" || !same(again.read(), after) {
			t.Fatalf("change %d is not there at the next start: %+v (%s), want %+v", i, again.read(), said, after)
		}
	}
	if st, err := os.Stat(b.path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the settings: %v %v", st.Mode(), err)
	}
}

func same(a, b Settings) bool {
	if len(a.Rooms) == 0 && len(b.Rooms) == 0 {
		a.Rooms, b.Rooms = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// TestSettingsThatCannotBeWritten: the change is refused with a sentence and nothing of it counts.
func TestSettingsThatCannotBeWritten(t *testing.T) {
	h := start(t, t.TempDir())
	if err := os.MkdirAll(filepath.Join(whole.Temp(h.d.book.path), "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	w, _ := h.enter("")
	w.post("/.desk/here", nil).want(t, 200, "/.desk/start", "could not write the settings to its disk")
	if s := h.d.book.read(); s.Mode != Unchosen {
		t.Errorf("the change counts all the same: %+v", s)
	}
}

// TestBrokenSettings: a file that is none is put aside, said, and not lost.
func TestBrokenSettings(t *testing.T) {
	for _, raw := range []string{"", "{", "[]", "\x00\x00\x00", `{"mode": 5}`, strings.Repeat(" ", mostSettings+1)} {
		dir := t.TempDir()
		path := filepath.Join(dir, settingsFile)
		if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		b, said := open(t, dir)
		if b.read().Mode != Unchosen || !strings.Contains(said, "kept in "+path+".broken") {
			t.Errorf("%.10q: %+v, %q", raw, b.read(), said)
		}
		if kept, err := os.ReadFile(path + ".broken"); err != nil || string(kept) != raw {
			t.Errorf("%.10q: what was there is %.10q, %v", raw, kept, err)
		}
	}
}

// TestSettingsAreMended: what cannot be, because somebody wrote it by hand, is not believed.
func TestSettingsAreMended(t *testing.T) {
	raw, _ := json.Marshal(Settings{
		Mode: Joined, Room: "gone", Zoom: 40, Floor: "SEV9", Port: 70000, Last: "/join/join_secret", Quiet: Quiet{Mode: "loud"},
		Network: Network{On: true, Host: "127.0.0.1", Port: 0},
		Rooms:   []Remote{{ID: "../../etc", URL: "https://a.example"}, {ID: "b", URL: "javascript:alert(1)"}, {ID: "c", URL: "https://user:word@c.example"}, {ID: "d", URL: "https://D.example/path?x", Name: strings.Repeat("n", 200)}},
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, settingsFile), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b, said := open(t, dir)
	want := Settings{Zoom: 1, Network: Network{Host: "127.0.0.1", Port: usualPort}, Rooms: []Remote{{ID: "d", URL: "https://d.example", Name: strings.Repeat("n", mostName)}}}
	if got := b.read(); said != "" || !same(got, want) {
		t.Errorf("got %+v (%s)\nwant %+v", got, said, want)
	}
}

// TestWhichPagesAreRemembered: none with a secret in its address.
func TestWhichPagesAreRemembered(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/wall": true, "/incidents/42": true, "/incidents?status=all": true, "/me": true,
		"/join/join_x": false, "/wall/wall_x": false, "/page/p_x": false, "/calendar/x": false, "/signin": false, "/.desk/start": false, "/api/v1/log": false,
		"//evil.example": false, "https://evil.example": false, "": false, "/" + strings.Repeat("a", mostPath): false, `/\evil`: false,
	} {
		if kept(path) != want {
			t.Errorf("%.30q: %v", path, !want)
		}
	}
}
