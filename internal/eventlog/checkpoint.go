package eventlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// DefaultOrigin names a log whose operator did not name it.
const DefaultOrigin = "tocsin.local/log"

// Checkpoint is a signed tree head. Signed is the whole note, in the format of
// C2SP tlog-checkpoint inside C2SP signed-note; Verifier is the public key, as a
// note verifier key, that its signature was checked with.
type Checkpoint struct {
	Origin   string    `json:"origin"`
	Size     int64     `json:"size"`
	Root     tlog.Hash `json:"root"`
	Verifier string    `json:"verifier"`
	Signed   string    `json:"signed"`
}

// ParseCheckpoint checks the signature of a checkpoint with a verifier key and
// returns it. Unknown extra signatures (witnesses) and extension lines are let
// through, as C2SP asks.
func ParseCheckpoint(signed []byte, verifier string) (Checkpoint, error) {
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verifier key %q: %w", verifier, err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint signature: %w", err)
	}
	c := Checkpoint{Verifier: verifier, Signed: string(signed)}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, errors.New("checkpoint has fewer than three lines")
	}
	c.Origin = lines[0]
	c.Size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || c.Size < 0 || strconv.FormatInt(c.Size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("checkpoint size %q is not a number", lines[1])
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint root %q: %w", lines[2], err)
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("checkpoint of %q is signed by %q", c.Origin, v.Name())
	}
	return c, nil
}

// seal signs the checkpoint of a tree.
func seal(s note.Signer, size int64, root tlog.Hash) ([]byte, error) {
	text := s.Name() + "\n" + strconv.FormatInt(size, 10) + "\n" + root.String() + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint at %d: %w", size, err)
	}
	return signed, nil
}

// newKey makes an Ed25519 key pair whose name is the origin.
func newKey(origin string) (signer, verifier string, err error) {
	if origin == "" || strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '+' }) {
		return "", "", fmt.Errorf("origin %q: use a host and path without spaces and '+', like %s", origin, DefaultOrigin)
	}
	return note.GenerateKey(rand.Reader, origin)
}
