package remote

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestFramesOfAnySize: whatever part of a frame a room makes huge, what is kept of a topic stays within its bounds.
func TestFramesOfAnySize(t *testing.T) {
	k := openKept(t.TempDir(), slog.New(slog.DiscardHandler))
	page := `<!DOCTYPE html><html><head><title>A · Tocsin</title><meta name="now" content="5"><meta name="topic" content="board" data-since="1"></head><body data-handle="ana"></body></html>`
	if took, err := k.store("/", []byte(page), 1, true); !took || err != nil {
		t.Fatal(took, err)
	}
	big := strings.Repeat("x", 1<<20)
	for i := range 100 {
		seq := int64(i + 2)
		k.take(frame{Topic: "board", Seq: &seq, Key: fmt.Sprint(i) + big, HTML: "x"}, 1)
		k.take(frame{Topic: "board", Seq: &seq, Key: fmt.Sprint(i), Into: big, HTML: "x"}, 1)
		k.take(frame{Topic: "board", Seq: &seq, Key: fmt.Sprint(i), Place: big, HTML: "x"}, 1)
		k.take(frame{Topic: "board", Seq: &seq, Key: fmt.Sprint(i, "big"), HTML: big}, 1)
	}
	n := 0
	for _, f := range k.topics["board"].frames {
		n += len(f.Key) + len(f.Into) + len(f.Place) + len(f.HTML)
	}
	if n > hardFrames+mostNames*hardEntries {
		t.Errorf("%d MB are kept of one topic", n>>20)
	}
}

// TestTaken: only what says which events came of it is a yes.
func TestTaken(t *testing.T) {
	for body, want := range map[string]bool{`{"events":[]}`: true, `{"events":[{"offset":1}],"x":1}`: true, `{"events":null}`: true, `{}`: false, ``: false, `<html>ok</html>`: false, `[]`: false, `"events"`: false, `{"ok":true}`: false} {
		if got := Taken([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}
