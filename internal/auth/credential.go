package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// A credential is a text that opens something: prefix, then 11 base62 digits of
// a public id (64 bits), then 43 base62 digits of a secret (256 bits). The id
// finds the record, the record holds the SHA-256 of the whole text. Base62 has
// no character that a shell, an URL or a double click breaks on, and a prefix
// lets secret scanners find leaks.
const (
	tokenPrefix   = "tocsin_"  // API and wall tokens
	linkPrefix    = "join_"    // invitations, first administrator, sign-in links
	sessionPrefix = "session_" // the value of the session cookie

	idDigits     = 11
	secretDigits = 43
	bodyDigits   = idDigits + secretDigits
)

const digits62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

var sixtyTwo = big.NewInt(62)

// base62 writes raw as a big-endian number of exactly width digits.
func base62(raw []byte, width int) string {
	n, digit := new(big.Int).SetBytes(raw), new(big.Int)
	out := make([]byte, width)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, sixtyTwo, digit)
		out[i] = digits62[digit.Int64()]
	}
	return string(out)
}

// mint makes a new credential from 40 random bytes.
func mint(random io.Reader, prefix string) (text, id string, err error) {
	var raw [40]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", "", fmt.Errorf("draw a secret: %w", err)
	}
	id = base62(raw[:8], idDigits)
	return prefix + id + base62(raw[8:], secretDigits), id, nil
}

// publicID draws an id that is no secret, for things that have no credential.
func publicID(random io.Reader) (string, error) {
	var raw [8]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("draw an id: %w", err)
	}
	return base62(raw[:], idDigits), nil
}

// split finds the public id in a credential. It accepts exactly what mint makes
// with this prefix and refuses everything else without looking anything up.
func split(text, prefix string) (id string, ok bool) {
	body, found := strings.CutPrefix(text, prefix)
	if !found || len(body) != bodyDigits {
		return "", false
	}
	for i := 0; i < len(body); i++ {
		c := body[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return "", false
		}
	}
	return body[:idDigits], true
}

// digest is what is kept of a credential. Secrets are 256 random bits, so one
// SHA-256 without salt or stretching cannot be searched.
func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// matches compares a text with a kept digest in constant time.
func matches(text string, kept []byte) bool {
	return subtle.ConstantTimeCompare(digest(text), kept) == 1
}

// seal is HMAC-SHA256 under the store's own key over the parts, each with its
// length before it, so that no two lists of parts give the same input.
func seal(key []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, key)
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		mac.Write(size[:])
		io.WriteString(mac, p)
	}
	return mac.Sum(nil)
}

// deriveSession makes the cookie that belongs to one use of a single-use secret
// in one transaction: the same secret and transaction give the same cookie, so
// a lost answer can be asked for again; without the store's key it cannot be
// guessed.
func deriveSession(key []byte, secret, txn string) (cookie, id string) {
	id = base62(seal(key, "session id", secret, txn)[:8], idDigits)
	return sessionPrefix + id + base62(seal(key, "session", secret, txn), secretDigits), id
}
