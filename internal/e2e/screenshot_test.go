package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// startDemo runs tocsin demo; it needs no directory.
func startDemo(t testing.TB, scenario string, speed float64) *tocsin {
	t.Helper()
	s := &tocsin{t: t, token: bootstrap, addr: "127.0.0.1:" + freePort(t)}
	s.client = &http.Client{Timeout: 30 * time.Second}
	t.Cleanup(s.client.CloseIdleConnections)
	s.url = "http://" + s.addr
	s.run = spawn(t, "tocsin demo", product, []string{"TOCSIN_BOOTSTRAP_TOKEN=" + bootstrap}, "demo", "--addr", s.addr, "--scenario", scenario, "--speed", fmt.Sprint(speed))
	s.outs = append(s.outs, s.run.out)
	until(t, "the demo plays", patience, func() (bool, string) {
		if m := signIn.FindStringSubmatch(s.run.out.String()); m != nil {
			s.link = m[1]
		}
		return s.link != "" && strings.Contains(s.run.out.String(), "DRILL"), s.run.out.last(400)
	})
	return s
}

// declared waits for the drill's incident.
func (s *tocsin) declared() int64 {
	s.t.Helper()
	var n int64
	until(s.t, "the drill leads to an incident", 3*patience, func() (bool, string) {
		l := s.incidents()
		if len(l) > 0 {
			n = l[0].Number
		}
		return n > 0, fmt.Sprint(len(l), " incidents, ", len(s.signals()), " signals")
	})
	return n
}

// TestDemoIsMarkedDrillEverywhere: both scenarios come through the detectors to
// an incident, and no page shows them without the word.
func TestDemoIsMarkedDrillEverywhere(t *testing.T) {
	for scenario, kind := range map[string]string{"nomad": "", "polygon-reorg": "reorg"} {
		t.Run(scenario, func(t *testing.T) {
			s := startDemo(t, scenario, 600)
			n := s.declared()
			link, err := url.Parse(s.link)
			must(t, err)
			w := desk(t, "demo", link.Scheme+"://"+link.Host, 1440, 900)
			w.signIn(s, "Ana Ruiz", "ana")
			for _, path := range []string{"/", "/wall", fmt.Sprintf("/incidents/%d", n), "/signals", "/chains", "/incidents", "/log", "/status"} {
				w.open(path)
				w.sees(path+" says DRILL", `document.body.innerText.includes("DRILL")`, patience)
			}
			until(t, "there is a signal of kind “"+kind+"”", 3*patience, func() (bool, string) { // the incident may have come of another one
				var kinds []string
				for _, g := range s.signals() {
					if kind == "" || g.Kind == kind {
						t.Logf("%s: %s | %s", scenario, g.Title, g.Reason)
						return true, ""
					}
					kinds = append(kinds, g.Kind)
				}
				return false, fmt.Sprint(kinds)
			})
			for _, e := range s.events() {
				if strings.HasPrefix(e.Stream, "incident/") && !e.Drill {
					t.Errorf("event %d %s of the demo is not marked as a drill", e.Offset, e.Type)
				}
			}
		})
	}
}

// TestScreenshots makes the pictures of the README from the demo, with
// TOCSIN_SCREENSHOTS set to a directory.
func TestScreenshots(t *testing.T) {
	if os.Getenv("TOCSIN_SCREENSHOTS") == "" {
		t.Log("set TOCSIN_SCREENSHOTS to a directory to make pictures; make screenshots does")
		return
	}
	s := startDemo(t, "nomad", 60)
	link, err := url.Parse(s.link)
	must(t, err)
	base := link.Scheme + "://" + link.Host
	w := desk(t, "commander", base, 1440, 900)
	w.signIn(s, "Ana Ruiz", "ana")
	n := s.declared()
	w.open(fmt.Sprintf("/incidents/%d", n))
	w.live()
	for _, line := range []string{
		"/role commander @ana", "/status mitigating", "/decide Pause the bridge contract; every relayer is told to stop.",
		"The replica accepts the zero root as proven: any message passes.", "/task ask the exchanges to freeze the three addresses @ana", "/task find out who can still call process()",
		"/link https://etherscan.io/tx/0xa5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5460 first draining transaction",
		"/update public We paused the bridge while we look into withdrawals that should not have been possible. Trading and custody are not affected.",
		"/approve", "/publish", "/update regulators A bridge that holds client assets is being drained since 21:32 UTC. A first assessment follows within the hour.",
	} {
		w.writes(line)
	}
	wall := w.another("wall", 1920, 1080)
	wall.open("/wall")
	board := w.another("board", 1440, 900)
	board.open("/")
	phone := w.another("phone", 390, 844)
	must(t, chromedp.Do(phone.ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2))))
	phone.open(fmt.Sprintf("/incidents/%d", n))
	public := desk(t, "status", base, 1280, 900)
	public.open("/status")
	narrow := public.another("narrow status", 390, 844)
	must(t, chromedp.Do(narrow.ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2))))
	narrow.open("/status")
	until(t, "the drain is at its worst", 4*patience, func() (bool, string) {
		open := 0
		for _, g := range s.incident(n).Signals {
			if g.State == "open" {
				open++
			}
		}
		return open >= 1 && len(s.incident(n).Signals) >= 2, fmt.Sprint(open, " open signals, ", len(s.events()), " events")
	})
	for name, p := range map[string]*window{"wall": wall, "commander": w, "board": board, "phone": phone, "status-wide": public, "status": narrow} {
		if js[bool](p, `Boolean(document.querySelector('meta[name="topic"]'))`) {
			p.live()
		}
		p.sees("has its fonts", `document.fonts.status === "loaded"`, patience)
		p.picture(name)
	}
}
