package auth

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
)

func TestMintAndSplit(t *testing.T) {
	seen := map[string]bool{}
	for _, prefix := range []string{tokenPrefix, linkPrefix, sessionPrefix} {
		for range 200 {
			text, id, err := mint(rand.Reader, prefix)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := split(text, prefix)
			if !ok || got != id || len(text) != len(prefix)+bodyDigits || seen[text] || seen[id] {
				t.Fatalf("mint %q: id %q, split %q %v", text, id, got, ok)
			}
			seen[text], seen[id] = true, true
			if !matches(text, digest(text)) || matches(text+"x", digest(text)) || matches(text, nil) {
				t.Fatal("matches is wrong")
			}
		}
	}
	// The widest numbers still fit their digits, and nothing collapses.
	for _, fill := range []byte{0x00, 0xff} {
		text, _, err := mint(bytes.NewReader(bytes.Repeat([]byte{fill}, 40)), tokenPrefix)
		if err != nil || len(text) != len(tokenPrefix)+bodyDigits {
			t.Fatalf("%x: %q %v", fill, text, err)
		}
	}
	if _, _, err := mint(bytes.NewReader(nil), tokenPrefix); err == nil {
		t.Fatal("a secret was made without randomness")
	}
}

func TestSealSeparatesParts(t *testing.T) {
	key := []byte("key")
	if bytes.Equal(seal(key, "ab", "c"), seal(key, "a", "bc")) || bytes.Equal(seal(key, "a"), seal(key, "a", "")) {
		t.Fatal("different parts give the same seal")
	}
	c1, i1 := deriveSession(key, "secret", "t")
	c2, i2 := deriveSession(key, "secret", "t")
	c3, _ := deriveSession(key, "secret", "u")
	c4, _ := deriveSession([]byte("other"), "secret", "t")
	if c1 != c2 || i1 != i2 || c1 == c3 || c1 == c4 {
		t.Fatal("a derived cookie depends on more or less than key, secret and transaction")
	}
	if id, ok := split(c1, sessionPrefix); !ok || id != i1 {
		t.Fatal("a derived cookie is not a session credential")
	}
}

func FuzzSplit(f *testing.F) {
	text, _, _ := mint(rand.Reader, tokenPrefix)
	for _, s := range []string{text, "", "tocsin_", text[:20], text + "0", strings.Replace(text, "_", "-", 1), "tocsin_" + strings.Repeat("é", 27), "join_" + text[7:], "tocsin_" + strings.Repeat("/", 54)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := split(s, tokenPrefix)
		if !ok {
			if id != "" {
				t.Fatal("an id without ok")
			}
			return
		}
		// What is accepted is exactly a prefix and 54 base62 digits, so that it is
		// safe as a key of the store.
		if len(id) != idDigits || !strings.HasPrefix(s, tokenPrefix+id) || strings.Trim(s[len(tokenPrefix):], digits62) != "" || len(s) != len(tokenPrefix)+bodyDigits {
			t.Fatalf("split(%q) = %q", s, id)
		}
	})
}

func FuzzRecoveryCode(f *testing.F) {
	for _, s := range []string{"ABCD-EFGH-JKMN-PQRS", "abcd efgh jkmn pqrs", "O0Il", "", "\xff\x00-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := normalCode(s)
		if n != normalCode(n) || len(n) > 64 || strings.Trim(n, digits32) != "" {
			t.Fatalf("normalCode(%q) = %q", s, n)
		}
	})
}

func TestRecoveryCodesForgiveHandwriting(t *testing.T) {
	for _, s := range []string{"A10B-C1D2-0E3F-4G5H", "a10bc1d20e3f4g5h", " alOb c1d2 oe3f 4g5h ", "A I O B-CLD2-OE3F-4G5H"} {
		if got := normalCode(s); got != "A10BC1D20E3F4G5H" {
			t.Errorf("normalCode(%q) = %q", s, got)
		}
	}
}
