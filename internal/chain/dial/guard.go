package dial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// What an answer may be at most, beside MaxAnswer: a small answer can still take a hundred times its size when it is decoded. The largest
// honest ones (a block of 100,000 transaction hashes, a block of 5,000 whole transactions) are well below.
const (
	maxDepth      = 64
	maxContainers = 65_536  // objects and lists
	maxValues     = 262_144 // separated by commas
)

// Untrusted is an answer that is not taken, whatever it says. Why is a sentence for people.
type Untrusted struct{ Why string }

func (u *Untrusted) Error() string { return u.Why }

// Unfit tells whether an answer was refused for its size or its form alone: what can be done without is then left out.
func Unfit(err error) bool {
	var u *Untrusted
	return errors.Is(err, ErrTooLarge) || errors.As(err, &u)
}

// Distrust makes an Untrusted; no argument may hold a secret.
func Distrust(format string, args ...any) error { return &Untrusted{fmt.Sprintf(format, args...)} }

// guard reads answers whole and lets through only those that are bounded in size, depth and number of values, and that belong to the request.
type guard struct{ *http.Transport }

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := g.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	_ = resp.Body.Close()
	if err == nil && len(raw) > MaxAnswer {
		err = ErrTooLarge
	}
	if err == nil {
		err = shape(raw)
	}
	if err == nil {
		err = belongs(r, raw)
	}
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	return resp, nil
}

// shape looks at the structure of a JSON answer without decoding it. What is no JSON passes: whoever decodes it says so.
func shape(b []byte) error {
	b = bytes.TrimLeft(b, " \t\r\n")
	if len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return nil
	}
	depth, containers, values := 0, 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			containers++
			depth++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > maxDepth || containers > maxContainers || values > maxValues {
			return Distrust("It sent JSON that is nested deeper than %d levels or holds more than %d values: the answer is not trusted.", maxDepth, maxValues)
		}
	}
	return nil
}

// belongs tells whether a JSON-RPC answer has the id of its request. Answers without an id, or with null, are taken: some servers send errors
// so. Batches are matched by whoever made them.
func belongs(r *http.Request, answer []byte) error {
	if r.Method != http.MethodPost || r.GetBody == nil {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	asked, err := io.ReadAll(io.LimitReader(body, MaxAnswer))
	if err != nil {
		return nil
	}
	var a, b struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(asked, &a) != nil || json.Unmarshal(answer, &b) != nil || len(a.ID) == 0 || len(b.ID) == 0 || string(b.ID) == "null" {
		return nil
	}
	if x, y := bytes.Trim(a.ID, `"`), bytes.Trim(b.ID, `"`); !bytes.Equal(x, y) {
		return Distrust("It answered another request than ours (id %s instead of %s): the answer is not trusted.", clip(string(y), 20), clip(string(x), 20))
	}
	return nil
}
