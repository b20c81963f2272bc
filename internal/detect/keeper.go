package detect

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// seenHalf is how many of the newest observations are surely known again when they come twice.
const seenHalf = 4096

// keeper is what every heuristic is made of: its name, its book, its state of type S, and the memory of what it has already been given.
// Heuristics embed it and add Observe and Tick.
type keeper[S any] struct {
	name    string
	version int
	fresh   func() S
	book    *book
	seen    recent[bool]
	s       S
}

func newKeeper[S any](name string, version int, fresh func() S, kinds ...string) keeper[S] {
	return keeper[S]{name: name, version: version, fresh: fresh, book: newBook(name, kinds...), seen: newRecent[bool](seenHalf), s: fresh()}
}

// Name implements Heuristic.
func (k *keeper[S]) Name() string { return k.name }

// Open implements Heuristic.
func (k *keeper[S]) Open() []string { return k.book.open() }

// Resume implements Heuristic.
func (k *keeper[S]) Resume(keys []string) { k.book.resume(keys) }

type saved[S any] struct {
	Name    string       `json:"name"`
	Version int          `json:"version"`
	Book    *book        `json:"book"`
	Seen    recent[bool] `json:"seen"`
	State   *S           `json:"state"`
}

// Save implements Heuristic.
func (k *keeper[S]) Save() ([]byte, error) {
	b, err := json.Marshal(saved[S]{k.name, k.version, k.book, k.seen, &k.s})
	if err != nil {
		return nil, fmt.Errorf("save detector %s: %w", k.name, err)
	}
	return b, nil
}

// Load implements Heuristic. After an error nothing has changed.
func (k *keeper[S]) Load(b []byte) error {
	s := k.fresh()
	in := saved[S]{Book: newBook(k.name, k.book.kinds[:len(k.book.kinds)-1]...), Seen: newRecent[bool](seenHalf), State: &s}
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("load detector %s: %w", k.name, err)
	}
	if in.Name != k.name || in.Version != k.version || in.Book == nil || in.State == nil {
		return fmt.Errorf("load detector %s version %d: the state is of %s version %d; it starts anew", k.name, k.version, cut(in.Name, 40), in.Version)
	}
	if in.Book.Entries == nil {
		in.Book.Entries = map[string]*entry{}
	}
	if in.Book.Turned == nil {
		in.Book.Turned = map[string]bool{}
	}
	for key, e := range in.Book.Entries {
		if e == nil {
			delete(in.Book.Entries, key)
		}
	}
	k.book, k.seen, k.s = in.Book, in.Seen, *in.State
	return nil
}

// twice tells whether an observation came before: the same thing in the same transaction, whoever tells it. Without a transaction nobody can
// know. What was taken back by a reorganisation may come again. Two equal transfers within one transaction count as one.
func (k *keeper[S]) twice(o observation.Observation) bool {
	if o.Tx == "" {
		return false
	}
	from := account(o.From)
	if o.Traced { // Tx says it, and not every node can tell it
		from = ""
	}
	h := sha256.New()
	for _, s := range []string{string(o.Kind), o.Chain, o.Tx, o.ID, o.Message, o.Bridge, o.Token, normal(o.Amount), from, account(o.To),
		account(o.Beneficiary), account(o.Contract), o.Change, o.Before, o.After, strings.Join(o.Inputs, " ")} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	d := base64.RawStdEncoding.EncodeToString(h.Sum(nil)[:12])
	was := k.seen.get(d)
	if was == nil {
		removed := o.Removed
		k.seen.put(d, &removed)
		return false
	}
	if *was == o.Removed {
		return true
	}
	*was = o.Removed
	return false
}

// where is the first part of a finding's key: the chain, or else what stands for it.
func where(chain, instead string) string {
	if chain != "" {
		return chain
	}
	return instead
}

// tick is Tick for heuristics whose findings end by themselves.
func (k *keeper[S]) tick(at int64) []chain.Finding { return k.book.advance(at) }

// reverted ends a finding that rests on one transaction alone when a reorganisation took that back. A finding that was raised more than once
// rests on more, and stays.
func (k *keeper[S]) reverted(o observation.Observation, key string) []chain.Finding {
	e := k.book.Entries[key]
	if e == nil || e.Raised != 1 || o.Tx == "" || text(e.Finding.Evidence, "tx") != cut(o.Tx, 100) {
		return nil
	}
	return k.book.end(key, "It was seen, and has since been reverted: a reorganisation took the transaction back.")
}
