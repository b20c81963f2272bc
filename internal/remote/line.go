package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/outbox"
)

const (
	mostLine   = 1 << 20          // bytes of a request that may be a note: as much as the room takes
	mostAnswer = 1 << 20          // bytes of an answer that is read as a whole
	noteIn     = 15 * time.Second // for the room to take a note, unless a look waits longer
)

var linePath = regexp.MustCompile(`^/incidents/([1-9][0-9]{0,8})/line$`)

// takesNote carries out a request that says a note: to the room, or into the outbox when the room cannot be reached or its answer got lost. It reports
// false for anything else, which is then as it was.
func (r *Room) takesNote(w http.ResponseWriter, req *http.Request) bool {
	m := linePath.FindStringSubmatch(req.URL.Path)
	if m == nil || req.Method != http.MethodPost || r.o.Notes == nil || !strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		return false
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, mostLine+1))
	rest := req.Body
	req.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), broken(err), rest), rest}
	n, ok := parseNote(body)
	if err != nil || len(body) > mostLine || !ok {
		return false
	}
	n.Incident, _ = strconv.Atoi(m[1])
	n.By = r.Handle()
	if n.WrittenAt == 0 {
		n.WrittenAt = r.o.Clock().UnixMilli()
	}
	if !r.state.away() && r.sayNow(w, req, body) {
		return true
	}
	r.queue(w, req, n)
	return true
}

// broken gives an error that a body ended with again.
func broken(err error) io.Reader { return failing{err} }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// parseNote takes any bytes. ok: they say a note that may be sent twice, since it has an id.
func parseNote(body []byte) (n outbox.Note, ok bool) {
	var in struct {
		ID        string `json:"id"`
		Line      string `json:"line"`
		WrittenAt int64  `json:"written_at"`
	}
	if json.Unmarshal(body, &in) != nil {
		return n, false
	}
	id, err := uuid.Parse(in.ID)
	if err != nil {
		return n, false
	}
	cmd, err := incident.ParseLine(in.Line)
	if err != nil {
		return n, false
	}
	if _, note := cmd.(incident.AddNote); !note {
		return n, false
	}
	return outbox.Note{ID: id.String(), Line: in.Line, WrittenAt: in.WrittenAt}, true
}

// sayNow gives the note to the room. It reports false when nobody knows whether the room has it; then nothing was answered. It goes on when the page
// that said it is gone: what was said is said.
func (r *Room) sayNow(w http.ResponseWriter, req *http.Request, body []byte) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), max(noteIn, r.o.AnswerIn))
	defer cancel()
	out := req.Clone(ctx)
	out.RequestURI = ""
	for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		out.Header.Del(name)
	}
	out = r.dress(out, req.URL)
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := carry{r}.RoundTrip(out)
	if err != nil {
		poke(r.kick)
		return false
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	if err != nil {
		poke(r.kick)
		return false
	}
	if !ours(res) && !problem(res) && !(res.StatusCode == http.StatusOK && Taken(answer)) {
		poke(r.kick)
		return false // of somebody in between
	}
	if err := r.undress(res); err != nil {
		return false
	}
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	send(w, req, res.StatusCode, answer)
	return true
}

// Taken reports whether the body of an answer is that of a room which has what was said: those in between say yes to anything.
func Taken(answer []byte) bool {
	var says map[string]json.RawMessage
	if json.Unmarshal(answer, &says) != nil {
		return false
	}
	_, told := says["events"]
	return told
}

// queue puts the note into the outbox and says so once it is safe there.
func (r *Room) queue(w http.ResponseWriter, req *http.Request, n outbox.Note) {
	for name, value := range safety {
		w.Header().Set(name, value)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), max(noteIn, r.o.AnswerIn))
	defer cancel()
	if err := r.o.Notes.Add(ctx, n); err != nil {
		r.log.Warn("a note could not be queued", "err", err)
		says := "The room cannot be reached, and the note could not be kept on this computer. Copy it somewhere safe."
		var no *outbox.Unkept
		if errors.As(err, &no) {
			says = no.Sentence
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(problemDoc{"about:blank", "Service Unavailable", http.StatusServiceUnavailable, says, "not_queued"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(struct {
		Queued    bool  `json:"queued"`
		WrittenAt int64 `json:"written_at"`
	}{true, n.WrittenAt})
}
