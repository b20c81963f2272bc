package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is one browser for all tests; every desk in it has its own cookies.
var chromium = sync.OnceValues(func() (context.Context, error) {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		return nil, fmt.Errorf("there is no Chromium; run: make tools")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("lang", "en-GB"), chromedp.Flag("mute-audio", true))
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop := chromedp.NewContext(alloc)
	lastStop = func() {
		_ = chromedp.Cancel(ctx)
		stop()
		stopAlloc()
	}
	return ctx, chromedp.Do(ctx)
})

// window is one browser window. What its console complains about fails the test.
type window struct {
	t    testing.TB
	name string
	ctx  context.Context
	base string // scheme://host

	mu       sync.Mutex
	console  []string
	allowed  *regexp.Regexp // what may be complained about, nil = nothing
	ignored  int
	marks    int // that were asked for
	marked   int // the newest that was heard
	finished bool
}

// desk opens a window with cookies of its own; base is the server's address.
func desk(t testing.TB, name, base string, width, height int64) *window {
	t.Helper()
	root, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(root, chromedp.WithNewBrowserContext())
	return newWindow(t, name, base, width, height, ctx, cancel)
}

// another opens a second window that shares the cookies.
func (w *window) another(name string, width, height int64) *window {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(w.ctx)
	return newWindow(w.t, name, w.base, width, height, ctx, cancel)
}

func newWindow(t testing.TB, name, base string, width, height int64, ctx context.Context, cancel context.CancelFunc) *window {
	t.Helper()
	w := &window{t: t, name: name, ctx: ctx, base: base}
	must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, height)))
	must(t, chromedp.Listen(ctx, w.heard))
	t.Cleanup(func() {
		if t.Failed() {
			w.picture("failed-" + strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()+"-"+name))
		}
		w.quiet()
		cancel()
	})
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// heard collects what the console shows as a warning or an error.
func (w *window) heard(ev any) {
	text := ""
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeDebug && len(ev.Args) == 2 && string(ev.Args[0].Value) == quote(markOfConsole) {
			w.mu.Lock()
			w.marked, _ = strconv.Atoi(string(ev.Args[1].Value))
			w.mu.Unlock()
			return
		}
		if ev.Type != runtime.ConsoleAPICalledTypeError && ev.Type != runtime.ConsoleAPICalledTypeWarning && ev.Type != runtime.ConsoleAPICalledTypeAssert {
			return
		}
		for _, a := range ev.Args {
			text += " " + string(a.Value) + a.Description
		}
	case *runtime.EventExceptionThrown:
		text = ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level != log.EntryLevelError && ev.Entry.Level != log.EntryLevelWarning {
			return
		}
		text = string(ev.Entry.Source) + ": " + ev.Entry.Text + " " + ev.Entry.URL
	default:
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return
	}
	if strings.Contains(text, "preloaded using link preload but not used") { // so says a browser that had no time to lay the page out yet
		return
	}
	if w.allowed != nil && w.allowed.MatchString(text) {
		w.ignored++
		return
	}
	w.console = append(w.console, strings.TrimSpace(text))
}

// unreachable is how the browser itself says that the server is away; a page
// cannot keep it from saying so.
var unreachable = regexp.MustCompile(`ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_CONNECTION_CLOSED|ERR_EMPTY_RESPONSE|ERR_TIMED_OUT|ERR_CONNECTION_TIMED_OUT|ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|ERR_INCOMPLETE_CHUNKED|ERR_SOCKET_NOT_CONNECTED|WebSocket connection to .* failed|status of 503`)

const markOfConsole = "e2e: heard so far"

// listened waits until all that the console said before has been heard: what it says comes in order, and beside the answers to questions.
func (w *window) listened() {
	w.t.Helper()
	w.mu.Lock()
	w.marks++
	mark := w.marks
	w.mu.Unlock()
	until(w.t, w.name+" window: is heard", patience, func() (bool, string) {
		w.mu.Lock()
		heard := w.marked >= mark
		w.mu.Unlock()
		if heard {
			return true, ""
		}
		_, err := eval[bool](w, fmt.Sprintf("(console.debug(%s, %d), true)", quote(markOfConsole), mark)) // again: a page that is being left may not tell
		return false, fmt.Sprint(err)
	})
}

// allow lets the browser complain about what matches from now on; nil ends it.
func (w *window) allow(what *regexp.Regexp) {
	w.t.Helper()
	w.listened() // what was said until now is judged as it was until now
	w.mu.Lock()
	w.allowed = what
	w.mu.Unlock()
}

// quiet fails the test if the console was not.
func (w *window) quiet() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.console {
		w.t.Errorf("the console of the %s window says: %s", w.name, line)
	}
	w.console, w.finished = nil, true
}

func eval[T any](w *window, js string) (T, error) {
	return chromedp.Run(w.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

// js evaluates an expression in the page.
func js[T any](w *window, expression string) T {
	w.t.Helper()
	v, err := eval[T](w, expression)
	if err != nil {
		w.t.Fatalf("%s window: %s: %v", w.name, cut(expression, "", 200), err)
	}
	return v
}

// open goes to a path and waits for the page.
func (w *window) open(path string) {
	w.t.Helper()
	to := path
	if !strings.HasPrefix(path, "http") {
		to = w.base + path
	}
	w.anew("the page of "+path, func() {
		if err := chromedp.Do(w.ctx, chromedp.Navigate(to)); err != nil {
			w.t.Fatalf("%s window opens %s: %v", w.name, to, err)
		}
	})
}

// anew does what leads to another document, also at the same address, and waits until that is there as a whole. What is waited for after it cannot be
// something that a frame has already put into the page that is being left.
func (w *window) anew(what string, do func()) {
	w.t.Helper()
	_, _ = eval[bool](w, "(window.isLeft = true)") // nothing to leave is no error
	do()
	w.sees("has "+what, loaded+" && !window.isLeft", patience)
}

// loaded is true of a page whose scripts have begun.
const loaded = `document.readyState === "complete"`

// sees waits until an expression is true in the page; a page that is being
// loaded is asked again.
func (w *window) sees(what, expression string, within time.Duration) time.Duration {
	w.t.Helper()
	return until(w.t, w.name+" window: "+what, within, func() (bool, string) {
		ok, err := eval[bool](w, "Boolean("+expression+")")
		if err != nil {
			return false, err.Error()
		}
		if ok {
			return true, ""
		}
		text, _ := eval[string](w, `location.pathname+" ["+(document.querySelector("#live")?.innerText??"")+"] "+document.body.innerText.slice(0,1500)`)
		return false, text
	})
}

// shows waits for words on the page.
func (w *window) shows(text string) time.Duration {
	w.t.Helper()
	return w.sees("shows “"+text+"”", fmt.Sprintf("document.body.innerText.includes(%s)", quote(text)), patience)
}

// live waits until the page says LIVE.
func (w *window) live() time.Duration {
	w.t.Helper()
	return w.sees("is LIVE", `/^LIVE/.test(document.querySelector("#live")?.innerText.trim() ?? "")`, patience)
}

func (w *window) stale() time.Duration {
	w.t.Helper()
	return w.sees("says STALE since when", `/STALE since .*\d\d:\d\d:\d\d/.test(document.querySelector("#live")?.innerText ?? "")`, patience) // with the day after midnight
}

func quote(s string) string { b, _ := json.Marshal(s); return string(b) }

// types presses a key for each letter, as a keyboard does: what the page does
// with the key comes before the letter.
func (w *window) types(text string) {
	w.t.Helper()
	for _, r := range text {
		k := key{name: string(r), text: string(r)}
		switch {
		case r == ' ':
			k = space
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			k = letter(string(r))
		case r >= '0' && r <= '9':
			k.code, k.number = "Digit"+string(r), int64(r)
		case r == '/' || r == '?':
			k.code, k.number = "Slash", 191
		}
		w.press(k)
	}
}

// key is a key by its DOM name.
type key struct {
	name, code string
	number     int64
	text       string
}

var (
	enter  = key{"Enter", "Enter", 13, "\r"}
	tab    = key{"Tab", "Tab", 9, ""}
	escape = key{"Escape", "Escape", 27, ""}
	down   = key{"ArrowDown", "ArrowDown", 40, ""}
	up     = key{"ArrowUp", "ArrowUp", 38, ""}
	space  = key{" ", "Space", 32, " "}
	letter = func(r string) key {
		return key{r, "Key" + strings.ToUpper(r), int64(strings.ToUpper(r)[0]), r}
	}
)

const (
	ctrl  = int64(2)
	shift = int64(8)
)

// press presses and releases a key.
func (w *window) press(k key, modifiers ...int64) {
	w.t.Helper()
	var held int64
	for _, m := range modifiers {
		held |= m
	}
	text := k.text
	if held&ctrl != 0 {
		text = ""
	}
	kind := input.DispatchKeyEventTypeRawKeyDown
	if text != "" {
		kind = input.DispatchKeyEventTypeKeyDown
	}
	for _, typ := range []input.DispatchKeyEventType{kind, input.DispatchKeyEventTypeKeyUp} {
		p := input.DispatchKeyEventParams{Type: typ, Key: k.name, Code: k.code, WindowsVirtualKeyCode: k.number, NativeVirtualKeyCode: k.number, Modifiers: held}
		if typ == input.DispatchKeyEventTypeKeyDown {
			p.Text, p.UnmodifiedText = text, text
		}
		if _, err := chromedp.Call(w.ctx, input.DispatchKeyEvent, p); err != nil {
			w.t.Fatalf("%s window: press %s: %v", w.name, k.name, err)
		}
	}
}

// focused describes what has the focus.
func (w *window) focused() string {
	s, err := eval[string](w, `(() => { const e = document.activeElement; if (!e) return "nothing"; return e.localName + (e.id ? "#" + e.id : "") + (e.name ? "[" + e.name + "]" : "") + " “" + (e.getAttribute("aria-label") || e.innerText || e.value || "").trim().slice(0, 60) + "”"; })()`)
	if err != nil {
		return err.Error()
	}
	return s
}

// tabTo presses Tab until what matches the selector has the focus.
func (w *window) tabTo(selector string) {
	w.t.Helper()
	w.sees("is loaded", loaded, patience)
	var seen []string
	for range 120 {
		if ok, err := eval[bool](w, fmt.Sprintf("Boolean(document.activeElement?.matches(%s))", quote(selector))); err == nil && ok {
			return
		}
		w.press(tab)
		seen = append(seen, w.focused())
	}
	w.t.Fatalf("%s window: Tab never reaches %s; it goes through %s", w.name, selector, strings.Join(seen, ", "))
}

// signIn uses the first sign-in link up in this window.
func (w *window) signIn(s *tocsin, name, handle string) {
	w.t.Helper()
	u, err := url.Parse(s.link)
	must(w.t, err)
	w.open(u.Path)
	w.sees("has the form", `document.querySelector("#l-name")`, patience)
	must(w.t, chromedp.Do(w.ctx, chromedp.SendKeys(chromedp.CSS("#l-name"), name), chromedp.SendKeys(chromedp.CSS("#l-handle"), handle), chromedp.SendKeys(chromedp.CSS("#l-handle"), "\r")))
	w.sees("is signed in", loaded+` && document.body.dataset.handle === `+quote(handle), patience)
}

// goes presses g and another key, which together lead to a page. They count only when they come within a second and a half, which a busy machine may not
// manage: then they are pressed again.
func (w *window) goes(to string) {
	w.t.Helper()
	for {
		js[bool](w, `(() => { window.taken = false; addEventListener("keydown", (e) => { window.taken ||= e.defaultPrevented; }); return true; })()`)
		w.types("g")
		w.types(to)
		if taken, err := eval[bool](w, "window.taken !== false"); err != nil || taken { // the next page knows nothing of it
			return
		}
	}
}

// picture saves what the window shows; only for people to look at.
func (w *window) picture(name string) {
	dir := os.Getenv("TOCSIN_SCREENSHOTS")
	if dir == "" {
		dir = filepath.Join(root, "internal/e2e/.cache/failed")
	}
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	b, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		res, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{})
		return res.Data, err
	})
	if err != nil {
		w.t.Logf("no picture of the %s window: %v", w.name, err)
		return
	}
	if err := os.MkdirAll(dir, 0o755); err == nil {
		path := filepath.Join(dir, name+".png")
		if err := os.WriteFile(path, b, 0o644); err == nil {
			w.t.Logf("picture of the %s window: %s", w.name, path)
		}
	}
}

// reduceMotion asks pages for less motion, so that pictures and checks see the end of it.
func (w *window) reduceMotion() {
	_, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
	must(w.t, err)
}

// refused is how the browser notes an answer that says no; the page shows the
// sentence, and cannot keep the browser from noting it.
var refused = regexp.MustCompile(`status of 422`)
