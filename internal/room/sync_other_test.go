//go:build !linux

package room

import "os"

func fdatasync(f *os.File) error { return f.Sync() }
