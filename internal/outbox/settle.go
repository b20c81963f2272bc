package outbox

import (
	"errors"
	"strings"
)

// settle writes down what post said of a note. It returns what Send ends with, or nil to go on.
func (b *Box) settle(id string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sends = ""
	var refused Refused
	switch {
	case err == nil:
		return b.gone(id)
	case errors.As(err, &refused):
		words := clip(refused.Sentence)
		if err := b.append(record{Refused: id, Reason: words}); err != nil {
			return err
		}
		if i := b.at(id); i >= 0 {
			b.items[i].State, b.items[i].Reason = StateRefused, words
		}
		b.tell()
		return nil
	}
	return err
}

// gone takes a note out, on disk first: what is gone here stays gone.
func (b *Box) gone(id string) error {
	if err := b.append(record{Gone: id}); err != nil {
		return err
	}
	if i := b.at(id); i >= 0 {
		items := append(b.items[:i:i], b.items[i+1:]...)
		b.items = items
	}
	b.tell()
	b.shrink()
	return nil
}

func clip(words string) string {
	if words == "" {
		return "The room did not take this note, and did not say why."
	}
	if len(words) > maxWords {
		words = words[:maxWords]
	}
	return strings.ToValidUTF8(words, "")
}
