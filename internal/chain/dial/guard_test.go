package dial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestShape: what is within the bounds passes, one more does not; braces inside of texts do not count.
func TestShape(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"64 levels", deep(maxDepth), true}, {"65 levels", deep(maxDepth + 1), false}, {"65 levels after blanks", " \n" + deep(maxDepth+1), false},
		{"in a text", `{"a":"` + strings.Repeat("[", 1000) + `"}`, true}, {"in a text with quotes", `{"a":"\"` + strings.Repeat("[", 1000) + `\\"}`, true},
		{"all values", "[" + strings.Repeat("1,", maxValues) + "1]", true}, {"one more", "[" + strings.Repeat("1,", maxValues+1) + "1]", false},
		{"all containers", "[" + strings.Repeat("{},", maxContainers-2) + "{}]", true}, {"one more container", "[" + strings.Repeat("{},", maxContainers-1) + "{}]", false},
		{"commas in a text", `["` + strings.Repeat(",", 2*maxValues) + `"]`, true}, {"no JSON", strings.Repeat("<[", 1000), true}, {"nothing", "", true},
		{"an open text", `{"a":"` + strings.Repeat("x", 100), true}, {"an open escape", `{"a":"\`, true},
	} {
		if err := shape([]byte(c.in)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestShapeHonest: JSON of modest size always passes, whatever stands in its texts.
func TestShapeHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		if err := shape(raw); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	})
}

func TestBelongs(t *testing.T) {
	for _, c := range []struct {
		answer string
		ok     bool
	}{
		{`{"id":1,"result":7}`, true}, {`{"id":"1","result":7}`, true}, {`{"id":null,"result":7}`, true}, {`{"result":7}`, true},
		{`{"id":2,"result":7}`, false}, {`{"id":[1],"result":7}`, false}, {`{"id":"` + strings.Repeat("9", 1000) + `","result":7}`, false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.answer) }))
		var n int
		err := Call(context.Background(), Client(45*time.Second), srv.URL, "x", nil, &n)
		var lie *Untrusted
		if (err == nil) != c.ok || !c.ok && (!errors.As(err, &lie) || len(lie.Why) > 200) {
			t.Errorf("%.60s: %v", c.answer, err)
		}
		srv.Close()
	}
}

// TestGet: the path stands behind the address, credentials and query of the address stay, and what is no JSON with 200 is an error.
func TestGet(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		got = r.URL.RequestURI() + " " + user + ":" + pass
		switch {
		case strings.HasSuffix(r.URL.Path, "/none"):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, "/html"):
			fmt.Fprint(w, "<html>")
		default:
			fmt.Fprint(w, `{"data":5}`)
		}
	}))
	defer srv.Close()
	var out struct{ Data int }
	address := strings.Replace(srv.URL, "://", "://u:p@", 1) + "/key/?apikey=secret77"
	if err := Get(context.Background(), Client(45*time.Second), address, "/eth/v1/x?topics=a", &out); err != nil || out.Data != 5 || got != "/key/eth/v1/x?apikey=secret77&topics=a u:p" {
		t.Errorf("%q %v", got, err)
	}
	var status *StatusError
	if err := Get(context.Background(), Client(45*time.Second), address, "/none", nil); !errors.As(err, &status) || status.Status != 404 {
		t.Errorf("%v", err)
	}
	if err := Get(context.Background(), Client(45*time.Second), address, "/html", &out); !errors.Is(err, ErrNotJSON) {
		t.Errorf("%v", err)
	}
	if err := Get(context.Background(), Client(45*time.Second), "http://u:p@127.0.0.1:1/key/?apikey=secret77", "/x", nil); err == nil || strings.Contains(err.Error(), "secret77") {
		t.Errorf("%v", err)
	}
}

// TestStream: a stream is not read ahead, and a redirect is not followed.
func TestStream(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			return
		}
		fmt.Fprint(w, "event: head\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	c := Stream(45 * time.Second)
	defer c.CloseIdleConnections()
	resp, err := c.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 11)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "event: head" {
		t.Errorf("%q %v", first, err)
	}
	resp.Body.Close()
	if resp, err = c.Get(srv.URL + "/away"); err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("%v %v", resp, err)
	}
	resp.Body.Close()
}
