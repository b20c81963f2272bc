package pager

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestLinks(t *testing.T) {
	db, now := mem.New(), start
	l := NewLinks(db, func() int64 { return now })
	var pages []Link
	for i := range 100 { // more than one Txn takes
		pages = append(pages, Link{Person: fmt.Sprintf("p%d", i), Incident: 7, Page: fmt.Sprintf("page-7-1-1-1-p%d", i)})
	}
	tokens, err := l.mint(t.Context(), pages)
	if err != nil {
		t.Fatal(err)
	}
	for i, token := range tokens {
		got, err := l.Open(t.Context(), token)
		if err != nil || got.Page != pages[i].Page || got.Person != pages[i].Person || got.ExpiresAt != start+LinkLife.Milliseconds() {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	again, err := l.mint(t.Context(), pages[:1])
	if err != nil || again[0] == tokens[0] {
		t.Errorf("the same page has the same token again, %v", err)
	}
	for kv, err := range db.Scan(t.Context(), store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			if strings.Contains(string(kv.Key)+string(kv.Value), token) {
				t.Fatal("a token is kept in the store")
			}
		}
	}
	for _, bad := range []string{"", "x", strings.Repeat("A", tokenLength), tokens[0] + "A", strings.ToLower(tokens[0]), strings.Repeat("A", 1<<20)} {
		if _, err := l.Open(t.Context(), bad); !errors.Is(err, ErrNoLink) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	now += LinkLife.Milliseconds()
	if got, err := l.Open(t.Context(), tokens[1]); !errors.Is(err, ErrNoLink) || got.Incident != 7 {
		t.Errorf("an expired link: %+v, %v", got, err)
	}
	if err := l.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Open(t.Context(), tokens[1]); !errors.Is(err, ErrNoLink) || got.Incident != 7 {
		t.Errorf("it was swept away too early: %+v, %v", got, err)
	}
	now += LinkLife.Milliseconds()
	if err := l.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for kv, err := range db.Scan(t.Context(), store.Range{From: []byte(linkPrefix)}) {
		t.Errorf("left: %s %v", kv.Key, err)
	}
	_ = db.Close()
	if _, err := l.Open(t.Context(), tokens[2]); err == nil || errors.Is(err, ErrNoLink) {
		t.Errorf("a closed store: %v", err)
	}
}
