package remote

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// sessionCookie is the one that says who somebody is.
const sessionCookie = "tocsin_session"

const (
	mostCookies = 32
	mostCookie  = 8 << 10         // bytes of name and value
	passing     = 2 * time.Minute // what lives no longer is not written to disk
)

// jar holds the cookies of one server, on disk. They are never given to anybody but that server.
type jar struct {
	path   string
	secure bool // cookies marked Secure may be sent
	clock  func() time.Time

	mu      sync.Mutex // also orders the writes of the file
	cookies map[string]crumb
	gen     uint64 // changes with the session
}

type crumb struct {
	Value   string `json:"value"`
	Path    string `json:"path"`
	Expires int64  `json:"expires,omitempty"` // unix ms; 0 = never
	Secure  bool   `json:"secure,omitempty"`
}

// openJar reads what is there; a file that cannot be read is an empty jar: then one signs in again.
func openJar(path string, secure bool, clock func() time.Time) *jar {
	j := &jar{path: path, secure: secure, clock: clock, cookies: map[string]crumb{}}
	if b, err := os.ReadFile(path); err == nil {
		j.cookies = parseJar(b)
	}
	return j
}

func parseJar(b []byte) map[string]crumb {
	var found map[string]crumb
	if len(b) > mostCookies*mostCookie*2 || json.Unmarshal(b, &found) != nil || found == nil {
		return map[string]crumb{}
	}
	maps.DeleteFunc(found, func(name string, c crumb) bool { return !storable(name, c.Value) })
	for len(found) > mostCookies {
		delete(found, slices.Sorted(maps.Keys(found))[0])
	}
	return found
}

func storable(name, value string) bool {
	return len(name)+len(value) <= mostCookie && (&http.Cookie{Name: name, Value: value}).Valid() == nil
}

// set takes the cookies of an answer. On return they are on disk, but for those that pass in a moment.
func (j *jar) set(list []*http.Cookie) error {
	if len(list) == 0 {
		return nil
	}
	now := j.clock()
	j.mu.Lock()
	defer j.mu.Unlock()
	write := false
	for _, c := range list {
		old, had := j.cookies[c.Name]
		k := crumb{Value: c.Value, Path: c.Path, Secure: c.Secure}
		switch {
		case c.MaxAge > 0:
			k.Expires = now.Add(time.Duration(c.MaxAge) * time.Second).UnixMilli()
		case !c.Expires.IsZero():
			k.Expires = c.Expires.UnixMilli()
		}
		if !strings.HasPrefix(k.Path, "/") {
			k.Path = "/"
		}
		if c.MaxAge < 0 || k.Expires != 0 && k.Expires <= now.UnixMilli() {
			delete(j.cookies, c.Name)
			write = write || had && lasting(old, now)
			if had && c.Name == sessionCookie {
				j.gen++
			}
			continue
		}
		if !storable(c.Name, c.Value) || !had && len(j.cookies) >= mostCookies {
			continue
		}
		j.cookies[c.Name] = k
		write = write || old != k && (lasting(k, now) || lasting(old, now) && had)
		if c.Name == sessionCookie && old.Value != k.Value {
			j.gen++
		}
	}
	if !write {
		return nil
	}
	return j.write(now)
}

func lasting(k crumb, now time.Time) bool {
	return k.Expires == 0 || k.Expires > now.Add(passing).UnixMilli()
}

func (j *jar) write(now time.Time) error {
	keep := maps.Clone(j.cookies)
	maps.DeleteFunc(keep, func(_ string, k crumb) bool { return !lasting(k, now) })
	err := whole.Replace(j.path, func(w io.Writer) error { return json.NewEncoder(w).Encode(keep) })
	if err != nil {
		return fmt.Errorf("keep the session: %w", err)
	}
	return nil
}

// header is the value of Cookie for a request to path; only, if not empty, names the one cookie that is wanted.
func (j *jar) header(path, only string) (value string, gen uint64) {
	now := j.clock().UnixMilli()
	j.mu.Lock()
	defer j.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(j.cookies)) {
		k := j.cookies[name]
		if only != "" && name != only || k.Expires != 0 && k.Expires <= now || k.Secure && !j.secure || !below(path, k.Path) {
			continue
		}
		parts = append(parts, (&http.Cookie{Name: name, Value: k.Value}).String())
	}
	return strings.Join(parts, "; "), j.gen
}

// below is the path-match of RFC 6265, section 5.1.4.
func below(path, of string) bool {
	return path == of || strings.HasPrefix(path, of) && (strings.HasSuffix(of, "/") || path[len(of)] == '/')
}

// has reports whether there is a session to show.
func (j *jar) has() bool {
	value, _ := j.header("/", sessionCookie)
	return value != ""
}

// session is the generation of the session: what was asked under an older one says nothing of this one.
func (j *jar) session() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.gen
}

func (j *jar) wipe() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cookies = map[string]crumb{}
	j.gen++
	if err := os.Remove(j.path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("forget the session: %w", err)
	}
	return whole.SyncDirectory(dirOf(j.path))
}
