package eventlog

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestLeafGolden pins the bytes of a leaf: they are hashed, so they never change.
func TestLeafGolden(t *testing.T) {
	h := header{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", Stream: "incident/42", Seq: 7, Offset: 1234, At: 1700000000123,
		Actor: "person:ana", Causation: "c-1", Drill: true, Type: "incident.severity_set", Version: 2, Payload: digest([16]byte{1}, []byte("{}")),
	}
	const want = `{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","stream":"incident/42","seq":7,"offset":1234,"at":1700000000123,` +
		`"actor":"person:ana","causation":"c-1","drill":true,"type":"incident.severity_set","version":2,` +
		`"payload":"77c312dd6be70095bd86746d8289ec9429e2d3d43d8ac512620d6ab9b7ffc0e9"}`
	got := string(appendHeader(nil, &h))
	if got != want {
		t.Errorf("leaf\n%s\nwant\n%s", got, want)
	}
	if back, err := parseHeader([]byte(got)); err != nil || back != h {
		t.Errorf("parsed %+v, %v", back, err)
	}
	for _, bad := range []string{
		"", "{}", got + " ", strings.Replace(got, `"v":1`, `"v":2`, 1), strings.Replace(got, `"seq":7`, `"seq":07`, 1),
		strings.Replace(got, `"seq":7`, `"seq":0`, 1), strings.Replace(got, `"seq":7`, `"seq":-7`, 1), strings.Replace(got, `"seq":7`, `"seq":`, 1),
		strings.Replace(got, "true", "TRUE", 1), strings.Replace(got, "ana", "", 1)[:20], strings.Replace(got, "person:ana", "", 1),
		strings.Replace(got, "ana", `a\u0041`, 1), strings.Replace(got, `"at":1700000000123`, `"at":99999999999999999999`, 1),
		strings.ToUpper(got), strings.Replace(got, "person:ana", strings.Repeat("a", MaxName+1), 1), strings.Repeat(got, 9),
	} {
		if h, err := parseHeader([]byte(bad)); err == nil {
			t.Errorf("parseHeader(%q) = %+v", bad, h)
		}
	}
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[!#-\[\]-~]{1,128}`)
		salt := [saltSize]byte(rapid.SliceOfN(rapid.Byte(), saltSize, saltSize).Draw(t, "salt"))
		payload := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload")
		h := header{
			ID: text.Draw(t, "id"), Stream: text.Draw(t, "stream"), Seq: rapid.Int64Min(1).Draw(t, "seq"), Offset: rapid.Int64Min(0).Draw(t, "offset"),
			At: rapid.Int64Min(0).Draw(t, "at"), Actor: text.Draw(t, "actor"), Drill: rapid.Bool().Draw(t, "drill"), Type: text.Draw(t, "type"),
			Version: rapid.IntRange(0, 1<<30).Draw(t, "version"), Payload: digest(salt, payload),
		}
		leaf := appendHeader(nil, &h)
		if len(leaf) > maxHeader {
			t.Fatalf("header of %d bytes", len(leaf))
		}
		b := presentRecord(leaf, salt, payload)
		r, err := parseRecord(b)
		if err != nil || r.header != h || r.redacted || !bytes.Equal(r.payload, payload) || !bytes.Equal(r.leaf, leaf) {
			t.Fatalf("present: %+v, %v", r, err)
		}
		r, err = parseRecord(redactedRecord(leaf, 77))
		if err != nil || r.header != h || !r.redacted || r.by != 77 || r.payload != nil {
			t.Fatalf("redacted: %+v, %v", r, err)
		}
		if cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut"); true {
			if _, err := parseRecord(b[:cut]); err == nil {
				t.Fatalf("record cut at %d of %d was taken", cut, len(b))
			}
		}
	})
}

// FuzzRecord: no bytes make the decoder panic, and what it takes has one spelling.
func FuzzRecord(f *testing.F) {
	h := header{ID: "i", Stream: "s", Seq: 1, Actor: "a", Type: "t", Payload: digest([16]byte{}, []byte("{}"))}
	leaf := appendHeader(nil, &h)
	f.Add(presentRecord(leaf, [16]byte{}, []byte("{}")))
	f.Add(redactedRecord(leaf, 3))
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		if again := appendHeader(nil, &r.header); !bytes.Equal(again, r.leaf) {
			t.Fatalf("two spellings of one header:\n%q\n%q", r.leaf, again)
		}
		again := presentRecord(r.leaf, r.salt, r.payload)
		if r.redacted {
			again = redactedRecord(r.leaf, r.by)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("two spellings of one record:\n%q\n%q", b, again)
		}
	})
}

// FuzzEntries: what ParseEntries takes is what it would write.
func FuzzEntries(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0}, 2)
	f.Add([]byte{0, 1}, 1)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		leaves, err := ParseEntries(b, width)
		if err != nil {
			return
		}
		var again []byte
		for _, leaf := range leaves {
			again = append(again, byte(len(leaf)>>8), byte(len(leaf)))
			again = append(again, leaf...)
		}
		if len(leaves) != width || !bytes.Equal(again, b) {
			t.Fatalf("%d leaves of %d, %q", len(leaves), width, again)
		}
	})
}

// FuzzTilePath: every path that is taken is the one path of its tile.
func FuzzTilePath(f *testing.F) {
	for _, s := range []string{"0/000", "entries/x001/067.p/5", "7/x999/x999/999.p/255", "0/x001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tile, err := ParseTilePath(s)
		if err == nil && (tile.Path() != s || tile.N < 0 || tile.Width < 1 || tile.Width > TileWidth) {
			t.Fatal(fmt.Sprintf("%q = %+v", s, tile))
		}
	})
}

// FuzzCheckpoint: nothing unsigned is taken.
func FuzzCheckpoint(f *testing.F) {
	_, vkey, err := newKey(DefaultOrigin)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("tocsin.local/log\n1\nAAAA\n\n— tocsin.local/log AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseCheckpoint(b, vkey); err == nil {
			t.Fatalf("taken: %+v", c)
		}
	})
}

// presentRecord is the record of any leaf, also of one that nobody would write.
func presentRecord(leaf []byte, salt [saltSize]byte, payload []byte) []byte {
	b := append(recordStart(leaf, saltSize+len(payload)), statePresent)
	b = append(b, salt[:]...)
	return append(b, payload...)
}
