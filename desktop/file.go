package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

const (
	maxName  = 150 // characters of a file's name
	maxTwins = 1000
)

// fresh is a path in dir for a file of a suggested name. Nothing lies there yet, and the name leads nowhere else. The error names the directory.
func fresh(dir, suggested string) (string, error) {
	name := safe(suggested)
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for n := 1; n < maxTwins; n++ {
		if n > 1 {
			name = fmt.Sprintf("%s (%d)%s", stem, n, ext)
		}
		path := filepath.Join(dir, name)
		_, err := os.Lstat(path)
		if errors.Is(err, os.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s holds too many files called %s", dir, stem)
}

// safe makes a file's name of what somebody else suggests: no directories, nothing hidden, nothing that a file system takes for something else.
func safe(suggested string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, suggested)
	if i := strings.LastIndexAny(suggested, `/\`); i >= 0 {
		return safe(suggested[i+1:])
	}
	name = strings.Trim(name, ". ")
	if r := []rune(name); len(r) > maxName {
		ext := []rune(filepath.Ext(name))
		if len(ext) > 16 {
			ext = nil
		}
		name = string(r[:maxName-len(ext)]) + string(ext)
	}
	if name == "" {
		return "tocsin"
	}
	return name
}

// inFolder is a fresh path for a download: in the directory given, which is made, or in the home directory's when there is none.
func inFolder(dir, suggested string) (string, error) {
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, "Downloads")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return fresh(dir, suggested)
}
