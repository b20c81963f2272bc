package auth

import (
	"errors"
	"fmt"
	"testing"
)

func TestLimiter(t *testing.T) {
	const now = int64(1_000_000)
	l := newLimiter(attemptsPerAddress, attemptsOverall, now)
	for range attemptsPerAddress {
		if _, err := l.attempt("192.0.2.1:5000", now); err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.attempt("192.0.2.1:6000", now)
	var r *Refusal
	if !errors.As(err, &r) || r.Code != CodeTooMany || r.RetryAfter <= 0 || r.RetryAfter > 6001 {
		t.Fatalf("eleventh attempt: %v", err)
	}
	if _, err := l.attempt("192.0.2.2", now); err != nil {
		t.Fatal("another address is shut out too")
	}
	if _, err := l.attempt("192.0.2.1", now+r.RetryAfter-2); err == nil {
		t.Fatal("earlier than said")
	}
	back, err := l.attempt("192.0.2.1", now+r.RetryAfter)
	if err != nil {
		t.Fatal("not when said")
	}
	back()
	if _, err := l.attempt("192.0.2.1", now+r.RetryAfter); err != nil {
		t.Fatal("an attempt given back is not there")
	}
	// A clock that steps back neither fills nor drains.
	if _, err := l.attempt("192.0.2.1", now-100_000); err == nil {
		t.Fatal("time running backwards gives attempts")
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(attemptsPerAddress, 1<<40, 0)
	for i := range 3 * addressesKept {
		if _, err := l.attempt(fmt.Sprintf("2001:db8:%x:%x::1", i/0x10000, i%0x10000), 0); err != nil {
			t.Fatal(err)
		}
	}
	if l.recent.Len() != addressesKept || len(l.byAddr) != addressesKept {
		t.Fatalf("%d and %d addresses are kept", l.recent.Len(), len(l.byAddr))
	}
	l = newLimiter(attemptsPerAddress, attemptsOverall, 0)
	refused := 0
	for i := range attemptsOverall + 5 {
		if _, err := l.attempt(fmt.Sprintf("10.0.%d.%d", i/256, i%256), 0); err != nil {
			refused++
		}
	}
	if refused != 5 {
		t.Fatalf("%d of %d attempts from many addresses were refused", refused, attemptsOverall+5)
	}
}

func TestNetworkOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":               "192.0.2.1",
		"192.0.2.1:443":           "192.0.2.1",
		"::ffff:192.0.2.1":        "192.0.2.1",
		"2001:db8::1":             "2001:db8::/64",
		"[2001:db8::2]:80":        "2001:db8::/64",
		"fe80::1%eth0":            "fe80::/64",
		"":                        "other:",
		"not an address, but any": "other:not an address, but any",
	} {
		if got := networkOf(in); got != want {
			t.Errorf("networkOf(%q) = %q, want %q", in, got, want)
		}
	}
}
