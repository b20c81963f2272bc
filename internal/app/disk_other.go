//go:build !unix

package app

// disk is not told on this system.
func disk(string) (free, size float64, ok bool) { return 0, 0, false }
