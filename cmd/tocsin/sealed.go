package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"

	"github.com/tocsin-ops/tocsin/internal/backup"
)

// scryptWork is log2 of the work that a passphrase costs, and the most that is
// done for a file: 18 takes about a second and 256 MiB of memory. Tests take less.
var scryptWork = 18

const (
	sealedBegin  = "age-encryption.org/v1"
	maxPassword  = 4 << 10
	gzipBegin    = "\x1f\x8b"
	beginsWithin = 64
)

// sealing is the way a backup is encrypted, with age (https://age-encryption.org).
type sealing struct {
	PassphraseFile string `help:"File with a passphrase: the backup is encrypted with it, in the format of age." name:"passphrase-file" type:"path" placeholder:"FILE"`
}

func (s sealing) passphrase() (string, error) {
	if s.PassphraseFile == "" {
		return "", nil
	}
	f, err := os.Open(s.PassphraseFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" || len(b) > maxPassword || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("%s does not hold one line with a passphrase", s.PassphraseFile)
	}
	return text, nil
}

// seal encrypts what is written to it into w, or nothing without a passphrase.
// Close ends the encryption; it does not close w.
func (s sealing) seal(w io.Writer) (io.WriteCloser, error) {
	text, err := s.passphrase()
	if err != nil || text == "" {
		return plain{w}, err
	}
	to, err := age.NewScryptRecipient(text)
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(scryptWork)
	return age.Encrypt(w, to)
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// opener opens a backup file as often as it is asked to, decrypting it when it is
// encrypted. is is false for a file that is not a backup at all.
func (s sealing) opener(path string) (open backup.Open, is bool, err error) {
	text, err := s.passphrase()
	if err != nil {
		return nil, false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	begin := make([]byte, beginsWithin)
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	sealed := strings.HasPrefix(string(begin[:n]), sealedBegin)
	if !sealed {
		return func() (io.ReadCloser, error) { return os.Open(path) }, strings.HasPrefix(string(begin[:n]), gzipBegin), nil
	}
	if text == "" {
		return nil, true, fmt.Errorf("%s is encrypted; give its passphrase with --passphrase-file", path)
	}
	by, err := age.NewScryptIdentity(text)
	if err != nil {
		return nil, true, err
	}
	by.SetMaxWorkFactor(scryptWork)
	return func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		r, err := age.Decrypt(bufio.NewReaderSize(f, 64<<10), by)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("decrypt %s: %w; is it the right passphrase?", path, err)
		}
		return struct {
			io.Reader
			io.Closer
		}{r, f}, nil
	}, true, nil
}
