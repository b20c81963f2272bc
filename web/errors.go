package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/feedback"
	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/views"
)

var (
	errSignIn = refusal(auth.CodeNotSignedIn, "You are not signed in. Sign in and try again.")
	errNoPage = refusal("not_found", "There is nothing at this address.")
	errTooBig = refusal("body_too_large", "The request is larger than 1 MiB. Send less at once.")
)

// refusal makes a "no" of the web itself.
func refusal(code, sentence string) *auth.Refusal {
	return &auth.Refusal{Code: code, Sentence: sentence}
}

// statuses is the one table from a refusal's code to HTTP; what is not in it is 422.
var statuses = map[string]int{
	auth.CodeNotSignedIn: 401, auth.CodeForbidden: 403, auth.CodeTooMany: 429, auth.CodeBadLink: 410, auth.CodeLinkBusy: 409,
	auth.CodeBadCode: 401, auth.CodeBadPasskey: 401, auth.CodeHandleTaken: 409, auth.CodeUnknownPerson: 404,
	auth.CodeUnknownToken: 404, auth.CodeUnknown: 404, auth.CodeBusy: 409,
	"cross_origin": 403, "form_expired": 403, "not_found": 404, "not_acceptable": 406, "body_too_large": 413, "body_broken": 400, "bad_json": 400,
	"backup_busy": 409, "beat_busy": 409, "already_undone": 409, "not_newest": 409, "bad_id": 400, "id_used": 409, "method": 405, "unavailable": 503, codeReadOnly: 503, "behind": 503,
	oncall.CodeNotYours: 403, oncall.CodeNameTaken: 409, oncall.CodeInUse: 409, oncall.CodeChanged: 409,
	incident.CodeUnknownCommand: 422,
}

// codeStore is that of a store which fails in the middle, before it is known to
// be read-only.
const codeStore = "store_unavailable"

// faults is the one table from a sentinel to what people see. Order matters: the first that matches wins.
var faults = []struct {
	is       error
	status   int
	code     string
	sentence string
}{
	{room.ErrNoIncident, 404, "no_such_incident", "There is no incident with this number. Look it up on the board."},
	{projection.ErrUnknown, 404, "not_found", "There is nothing at this address."},
	{room.ErrBusy, 503, "busy", "Too many commands are waiting for this incident. Try again in a moment; nothing was written."},
	{room.ErrContended, 503, "busy", "Others kept changing this incident. Try again; nothing was written."},
	{eventlog.ErrBusy, 503, "busy", "The log is taking all it can. Try again in a moment; nothing was written."},
	{eventlog.ErrTooLarge, 413, "too_large", "This is more than the log takes at once. Shorten it or send it in parts."},
	{eventlog.ErrRedacted, 422, "nothing_to_redact", "This event is blanked already, or it is a redaction itself."},
	{eventlog.ErrNotFound, 404, "not_found", "The log has no such event or tile."},
	{eventlog.ErrUncertain, 503, "uncertain", "The store failed while writing: this may have been saved. Send it again as it is, a program with the same id: it is never done twice."},
	{intake.ErrUnknownKey, 401, "unknown_key", "This key is not known or was revoked. Take the address from the Sources page."},
	{intake.ErrContended, 503, "busy", "The source kept changing under this delivery. Send it again."},
	{store.ErrClosed, 503, "unavailable", "The server is shutting down. Try again in a moment."},
	{store.ErrUnavailable, 503, codeStore, "The store did not answer. If something was to be changed, it may have been saved: send it again as it is, a program with the same id; it is never done twice."},
	{context.DeadlineExceeded, 503, "timeout", "This took too long. Try again; repeating a command with the same id is safe."},
	{context.Canceled, 499, "cancelled", "The request was cancelled."},
}

// problem is an error as RFC 9457 problem details.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	retry  int64  // ms
}

// describe turns any error into what people may see. known is false for a
// fault of ours, which is logged.
func describe(err error) (p problem, known bool) {
	p = problem{Type: "about:blank"}
	var (
		ar *auth.Refusal
		ir *incident.Refusal
		fr *feedback.Refusal
		mr *maintenance.Refusal
		gr *grouping.Refusal
		or *oncall.Refusal
		nr *notify.Refusal
		he *echo.HTTPError
	)
	switch {
	case errors.As(err, &ar):
		p.Code, p.Detail, p.retry, known = ar.Code, ar.Sentence, ar.RetryAfter, true
		p.Status = http.StatusUnprocessableEntity
		if st, ok := statuses[ar.Code]; ok {
			p.Status = st
		}
	case errors.As(err, &ir):
		p.Code, p.Detail, p.Status, known = ir.Code, ir.Sentence, http.StatusUnprocessableEntity, true
		if st, ok := statuses[ir.Code]; ok {
			p.Status = st
		}
	case errors.As(err, &mr):
		p.Code, p.Detail, p.Status, known = mr.Code, mr.Sentence, cmp.Or(statuses[mr.Code], http.StatusUnprocessableEntity), true
	case errors.As(err, &gr):
		p.Code, p.Detail, p.Status, known = gr.Code, gr.Sentence, cmp.Or(statuses[gr.Code], http.StatusUnprocessableEntity), true
	case errors.As(err, &fr):
		p.Code, p.Detail, p.Status, known = fr.Code, fr.Sentence, http.StatusUnprocessableEntity, true
		if st, ok := statuses[fr.Code]; ok {
			p.Status = st
		}
	case errors.As(err, &nr):
		p.Code, p.Detail, p.Status, known = nr.Code, nr.Sentence, http.StatusUnprocessableEntity, true
		if st, ok := statuses[nr.Code]; ok {
			p.Status = st
		}
	case errors.As(err, &or):
		p.Code, p.Detail, p.Status, known = or.Code, or.Sentence, http.StatusUnprocessableEntity, true
		if st, ok := statuses[or.Code]; ok {
			p.Status = st
		}
	default:
		for _, f := range faults {
			if errors.Is(err, f.is) {
				p.Code, p.Detail, p.Status, known = f.code, f.sentence, f.status, true
				break
			}
		}
		if known {
			break
		}
		if errors.As(err, &he) {
			switch he.Code {
			case http.StatusNotFound:
				p.Code, p.Detail, p.Status, known = "not_found", errNoPage.Sentence, 404, true
			case http.StatusMethodNotAllowed:
				p.Code, p.Detail, p.Status, known = "method", "This address does not take that kind of request.", 405, true
			case http.StatusRequestEntityTooLarge:
				p.Code, p.Detail, p.Status, known = errTooBig.Code, errTooBig.Sentence, 413, true
			}
		}
	}
	if !known {
		p.Code, p.Status = "fault", http.StatusInternalServerError
		p.Detail = "Something broke on our side. What was confirmed before is safe. Try again; if it stays, look in the server's log for this request."
	}
	p.Title = http.StatusText(p.Status)
	if p.Title == "" {
		p.Title = "Request cancelled"
	}
	return p, known
}

// handleError answers with a problem document, a redirect to the way in, or a page.
func (s *Server) handleError(err error, ec echo.Context) {
	if ec.Response().Committed {
		return
	}
	ec.Response().Header().Set("Cache-Control", "no-store")
	p, known := describe(err)
	if !known || p.Code == "timeout" || p.Code == codeStore {
		p.Detail = undecided(ec, p)
	}
	id := ec.Response().Header().Get(echo.HeaderXRequestID)
	if !known {
		s.Logger.Error("request failed", "method", ec.Request().Method, "route", ec.Path(), "request", id, "err", err)
	}
	if p.Code == codeStore {
		s.Logger.Warn("the store failed a request", "method", ec.Request().Method, "route", ec.Path(), "request", id, "err", err)
	}
	if p.retry > 0 {
		ec.Response().Header().Set("Retry-After", strconv.FormatInt((p.retry+999)/1000, 10))
	} else if p.Status == 503 {
		ec.Response().Header().Set("Retry-After", "1")
	}
	if wantsJSON(ec.Request()) {
		_ = writeProblem(ec, p)
		return
	}
	r := ec.Request()
	if p.Status == 401 && r.Method == http.MethodGet && p.Code == auth.CodeNotSignedIn {
		_ = ec.Redirect(http.StatusSeeOther, "/signin?next="+url.QueryEscape(r.URL.RequestURI()))
		return
	}
	page := views.ErrorPage{Base: s.plainBase(p.Title), Code: p.Status, Title: p.Title, Says: p.Detail, Href: "/", Verb: "Back to the board"}
	if public(r.URL.Path) {
		page.Held = views.ReadOnly{}
	}
	if p.Status >= 500 {
		page.Again = sentAgain(r)
	}
	if !known {
		page.Request = id
	}
	var b bytes.Buffer
	if err := views.ErrorView(page).Render(r.Context(), &b); err != nil {
		_ = ec.String(p.Status, p.Detail)
		return
	}
	_ = ec.HTMLBlob(p.Status, b.Bytes())
}

// undecided is the sentence for a request that broke off without a decision. Of
// a change nobody knows then whether it was made, and saying otherwise would
// have people act twice or not at all.
func undecided(ec echo.Context, p problem) string {
	why := "Something broke on our side"
	if p.Code == codeStore {
		why = "The store did not answer"
	}
	switch path := ec.Path(); {
	case ec.Request().Method != http.MethodPost || strings.HasPrefix(path, "/prometheus/") || path == "/chains/test":
		if p.Code == codeStore {
			return why + ". Try again in a moment."
		}
		return p.Detail
	case strings.HasSuffix(path, "/commands") || strings.HasSuffix(path, "/line") || strings.HasSuffix(path, "/incidents"):
		return why + ": this may have been saved. Send it again as it is, a program with the same id: it is never done twice."
	}
	return why + ": this may have been carried out. Look whether it was before you send it again."
}

func writeProblem(ec echo.Context, p problem) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return ec.Blob(p.Status, "application/problem+json", b)
}

// badJSON says where a body is not what was expected.
func badJSON(err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return refusal("bad_json", "The body is empty. Send a JSON object.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refusal("bad_json", "The body is not JSON: it ended early.")
	case errors.As(err, &syntax):
		return refusal("bad_json", fmt.Sprintf("The body is not JSON: it breaks at byte %d.", syntax.Offset))
	case errors.As(err, &typ):
		return refusal("bad_json", fmt.Sprintf("The field %q must be a %s.", typ.Field, typ.Type))
	}
	return refusal("bad_json", "The body is not the JSON that is expected here: "+safe(err.Error())+".")
}

// safe keeps a decoder's own words short; they name only fields the caller sent.
func safe(text string) string {
	text = string(bytes.ToValidUTF8([]byte(text), []byte("?")))
	if len(text) > 200 {
		text = text[:200]
	}
	return text
}
