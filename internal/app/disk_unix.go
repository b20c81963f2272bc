//go:build unix

package app

import "syscall"

// disk is how many bytes are free for us, and there at all, where a directory is.
func disk(dir string) (free, size float64, ok bool) {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return 0, 0, false
	}
	return float64(fs.Bavail) * float64(fs.Bsize), float64(fs.Blocks) * float64(fs.Bsize), true
}
