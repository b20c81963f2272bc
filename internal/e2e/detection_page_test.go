package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/e2e/prom"
)

// TestJudgingByKeyboard: three findings are judged false by keys alone, the threshold moves and says why, and is taken back; the pages are
// accessible and fit a phone.
func TestJudgingByKeyboard(t *testing.T) {
	s := prepare(t, "metrics: {out_of_order: 2h}\ndetection: detection.yaml\nrules: [rules.yml]\n")
	s.beside("rules.yml", "groups: [{name: watch, interval: 1s, rules: [{alert: Waits, expr: vector(1), for: 1h}, {alert: Never, expr: vector(1) > 2}, {record: one, expr: vector(1)}]}]\n")
	s.beside("detection.yaml", "series: [{match: 'withdrawals_*', severity: SEV4}]\n")
	s.up()
	_, _, key := s.source("payout", "metrics")
	now := time.Now()
	jump, back := now.Add(-14*time.Minute), now.Add(-12*time.Minute)
	var quiet, loud []prom.Series
	for i := range 3 {
		labels := []string{"__name__", fmt.Sprintf("withdrawals_%d", i), "service", fmt.Sprintf("payout-%d", i)}
		quiet = append(quiet, past(now.Add(-55*time.Minute), jump, usual, labels...))
		loud = append(loud, past(jump, back, func(i int) float64 { return 5 * usual(i) }, labels...))
	}
	s.push(key, quiet...)
	s.push(key, loud...)
	var one found
	until(t, "three anomalies", patience, func() (bool, string) {
		n := 0
		for _, f := range s.findings() {
			if f.Kind == "anomaly" && !f.Weak {
				n, one = n+1, f
			}
		}
		return n == 3, fmt.Sprint(n)
	})
	link, err := url.Parse(s.link)
	must(t, err)
	w := desk(t, "judge", link.Scheme+"://"+link.Host, 1440, 900)
	w.reduceMotion()
	w.signIn(s, "Ana Ruiz", "ana")
	until(t, "the rules' states", patience, func() (bool, string) {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, State string }
				}
			}
		}
		s.api("GET", "/prometheus/api/v1/rules", nil, &answer)
		text := fmt.Sprint(answer.Data.Groups)
		return strings.Contains(text, "{Waits pending} {Never inactive} {one }"), text
	})
	w.open("/detectors")
	w.sees("has the rules", `["pending since", "inactive", "records", "rules.yml", "watch"].every((t) => document.querySelector('section[aria-labelledby="rules-h"]').innerText.includes(t))`, patience)
	w.sees("has the findings", `document.querySelectorAll('.signals button[value="false"]').length >= 3`, patience)
	w.axe("detectors, to review")
	anomalies := `[...document.querySelectorAll('.signals .signal')].filter((s) => s.innerText.includes("is not as usual")).length`
	if got := js[int](w, anomalies); got != 3 {
		t.Fatalf("%d anomalies are there to be judged", got)
	}
	for n := 2; n >= 0; n-- {
		js[bool](w, `(() => { window.notYet = true; for (const s of document.querySelectorAll('.signals .signal')) { if (s.innerText.includes("is not as usual")) { s.querySelector('button[value="false"]').dataset.wanted = "yes"; break; } } return true; })()`)
		w.tabTo(`button[data-wanted]`)
		w.press(enter)
		w.sees("took the verdict", fmt.Sprintf(`!window.notYet && document.readyState === "complete" && %s === %d`, anomalies, n), patience) // others may come meanwhile: the series ended long ago
	}
	w.shows("3 of 3 judged alerts since the last change were false")
	w.sees("has another threshold", `[...document.querySelectorAll("table tr")].some((r) => r.innerText.startsWith("anomaly") && r.innerText.includes("1.78 times rarer"))`, patience)
	w.axe("detectors, with a change")
	var figures struct {
		Detectors []struct {
			Name       string
			False      int
			Strictness float64
		}
	}
	s.api("GET", "/api/v1/detectors", nil, &figures)
	for _, d := range figures.Detectors {
		if d.Name == "anomaly" && (d.False != 3 || d.Strictness != 0.25) {
			t.Errorf("%+v", d)
		}
	}
	w.open("/signals/" + one.ID)
	w.shows("Likelihood if all were normal")
	w.axe("a signal that was judged")
	phone := w.another("phone", 390, 844)
	phone.reduceMotion()
	for _, path := range []string{"/detectors", "/signals/" + one.ID} {
		phone.open(path)
		phone.sees("has its page", `document.readyState === "complete"`, patience)
		if wide := js[int](phone, "document.documentElement.scrollWidth"); wide > 390 {
			t.Errorf("%s is %d pixels wide on a phone", path, wide)
		}
		phone.axe(path + " on a phone")
		if small := js[string](phone, `[...document.querySelectorAll('main button, main summary')].filter((b) => b.checkVisibility() && b.getBoundingClientRect().height < 24).map((b) => b.innerText).join(", ")`); small != "" {
			t.Errorf("%s on a phone: too small for a finger: %s", path, small)
		}
	}
	w.open("/detectors")
	w.tabTo(`form[action="/detectors/undo"] button`)
	w.press(enter)
	w.shows("Taken back: ")
	w.sees("has the threshold as shipped", `[...document.querySelectorAll("table tr")].some((r) => r.innerText.startsWith("anomaly") && r.innerText.includes("as shipped"))`, patience)
	changes := 0
	for _, e := range s.events() {
		if e.Type == "threshold.changed" {
			changes++
			if !strings.Contains(string(e.Data), `"before"`) || !strings.Contains(string(e.Data), `"reason"`) {
				t.Errorf("%s", e.Data)
			}
		}
	}
	if changes != 2 {
		t.Errorf("%d changes are in the log, want 2", changes)
	}
	w.axe("detectors, taken back")
}
