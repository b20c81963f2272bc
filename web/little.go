package web

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"
)

// rfc3339 writes unix ms as UTC with milliseconds, "" for unknown.
func rfc3339(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func maybeTime(ms int64) *string {
	if ms == 0 {
		return nil
	}
	t := rfc3339(ms)
	return &t
}

// nonNil makes sure that JSON says [] and not null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func orTocsin(site string) string { return cmp.Or(site, "Tocsin") }

// shortID is a stable public id for a thing that has only a name.
func shortID(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return hex.EncodeToString(sum[:6])
}

func ceilSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// time is now as a time.Time.
func (s *Server) time() time.Time { return time.UnixMilli(s.now()) }
