package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type askedKey struct{}

func withAsked(ctx context.Context, a asked) context.Context {
	return context.WithValue(ctx, askedKey{}, a)
}

func askedOf(req *http.Request) asked {
	a, _ := req.Context().Value(askedKey{}).(asked)
	return a
}

// safety is what the room sets on every page.
var safety = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'",
	"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
}

// HeaderKept marks an answer that was kept: unix ms of the time it shows.
const HeaderKept = "Tocsin-Kept"

// Codes of answers for a room that is away.
const (
	codeUnreachable = "unreachable" // nothing was sent
	codeUncertain   = "uncertain"   // it was sent, and what became of it is not known
)

// answerAway answers in place of a room that cannot be reached. sent: some of the request may have arrived there.
func (r *Room) answerAway(w http.ResponseWriter, req *http.Request, sent bool) {
	for name, value := range safety {
		w.Header().Set(name, value)
	}
	read := req.Method == http.MethodGet || req.Method == http.MethodHead
	if read && strings.EqualFold(req.Header.Get("Upgrade"), "websocket") && (req.URL.Path == "/live" || req.URL.Path == "/status/live") {
		r.keepSocket(w, req)
		return
	}
	if read && r.kept != nil && r.answerKept(w, req) {
		return
	}
	code, says := codeUnreachable, "The room cannot be reached"
	if heard := r.state.reach().Heard; !heard.IsZero() {
		says += " since " + moment(heard, r.o.Clock())
	}
	switch {
	case read:
		says += ". " + Again
	case sent:
		code, says = codeUncertain, "The room did not answer: this may have been carried out. Look whether it was, as soon as the room is back, before you send it again."
	default:
		says += ". Nothing was sent, and nothing will be: do it again as soon as the room is back."
	}
	w.Header().Set("Retry-After", "2")
	if !wantsPage(req) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(problemDoc{"about:blank", "Service Unavailable", http.StatusServiceUnavailable, says, code})
		return
	}
	r.awayPage(w, req, read, says)
}

type problemDoc struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

// moment is a time for people, in UTC as everywhere, with the day when it is not today.
func moment(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05") + " UTC"
	}
	return at.Format("2 January 15:04:05") + " UTC"
}

// wantsPage reports whether somebody looks at the answer; scripts and programs get a problem document.
func wantsPage(req *http.Request) bool {
	if strings.HasPrefix(req.URL.Path, "/api/") || strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		return false
	}
	return strings.Contains(req.Header.Get("Accept"), "text/html")
}

// answerKept answers from what is kept, if it is.
func (r *Room) answerKept(w http.ResponseWriter, req *http.Request) bool {
	now := r.o.Clock()
	if strings.HasPrefix(req.URL.Path, "/assets/") {
		a, body, ok := r.kept.asset(req.URL.RequestURI())
		if !ok {
			return false
		}
		w.Header().Set("Content-Type", a.Type)
		if a.Cache != "" {
			w.Header().Set("Cache-Control", a.Cache)
		}
		send(w, req, http.StatusOK, body)
		return true
	}
	body, asOf, ok := r.kept.page(keyOf(req.URL), now.UnixMilli())
	if !ok {
		return false
	}
	at := strconv.FormatInt(asOf, 10)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set(HeaderKept, at)
	send(w, req, http.StatusOK, insertHead(body, `<meta name="kept" content="`+at+`">`+r.o.Insert))
	return true
}

func send(w http.ResponseWriter, req *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body) // whoever asked may have left
	}
}

// awayView is the page for what was not kept. It looks as other refusals do when a stylesheet is kept, and reads well without.
var awayView = template.Must(template.New("away").Parse(`<!DOCTYPE html>
<html lang="en" data-theme="dark"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="dark">
<title>{{.Title}} · Tocsin</title>{{if .Style}}<link rel="stylesheet" href="{{.Style}}">{{end}}{{.Insert}}</head>
<body class="page-error" data-page="away"><main id="main" tabindex="-1"><div class="door"><h1>{{.Title}}</h1><p class="says">{{.Says}}</p>
{{if .Why}}<p class="says">{{.Why}}</p>{{end}}{{if .Remedy}}<p class="remedy">{{.Remedy}}</p>{{end}}
{{if .Kept}}<h2>Kept on this computer</h2><ul>{{range .Kept}}<li><a href="{{.Path}}">{{or .Title .Path}}</a></li>{{end}}</ul>{{end}}
{{if .Again}}<p><a class="act main" href="{{.Again}}">Try again</a></p>{{end}}</div></main></body></html>
`))

func (r *Room) awayPage(w http.ResponseWriter, req *http.Request, read bool, says string) {
	page := struct {
		Title, Says, Why, Remedy, Style, Again string
		Insert                                 template.HTML
		Kept                                   []listed
	}{Title: "The room cannot be reached", Says: says, Insert: template.HTML(r.o.Insert)}
	if t := r.state.reach().Trouble; t != nil {
		page.Why, page.Remedy = t.Sentence, t.Remedy
		if read { // Says says it already
			page.Remedy = strings.TrimSpace(strings.Replace(t.Remedy, Again, "", 1))
		}
	}
	if r.kept != nil {
		page.Kept, page.Style = r.kept.list(), r.kept.style()
		if read {
			page.Title = "This page was not kept"
		}
	}
	if read {
		page.Again = req.URL.RequestURI()
		w.Header().Set("Refresh", "10") // a wall that nobody stands at comes back by itself
	}
	var b bytes.Buffer
	if err := awayView.Execute(&b, page); err != nil {
		r.log.Error("the page of a room that is away could not be written", "err", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(w, req, http.StatusServiceUnavailable, b.Bytes())
}
