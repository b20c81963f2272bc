package outbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

const (
	name      = "notes"         // the file, in the directory of the box
	aside     = "notes.damaged" // what could not be read, for a person to look at
	maxRecord = 8 * MaxLine     // bytes; JSON makes six of one at worst
	maxAside  = 1 << 20         // bytes kept of what cannot be read
	slack     = 256 << 10       // bytes of settled notes after which the file is written anew
)

// record is one line of the file: a checksum, a blank, this as JSON, a line feed.
type record struct {
	Add     *Note  `json:"add,omitempty"`
	Gone    string `json:"gone,omitempty"`
	Refused string `json:"refused,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// file is where the records are.
type file struct {
	path string
	f    *os.File
	size int64 // bytes that are known to be whole and durable
}

var table = crc32.MakeTable(crc32.Castagnoli)

func (r record) line() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(text, table), text), nil
}

// parse reads a line without its line feed.
func parse(line []byte) (r record, ok bool) {
	sum, text, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(text, table)) {
		return record{}, false
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, false
	}
	return r, r.Add == nil || r.Add.check() == nil
}

func (b *Box) open(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	b.file.path = filepath.Join(dir, name)
	old, err := os.Open(b.file.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		broken, err := b.read(old)
		if err := errors.Join(err, old.Close()); err != nil {
			return err
		}
		if len(broken) > 0 {
			if err := whole.Replace(filepath.Join(dir, aside), func(w io.Writer) error { _, err := w.Write(broken); return err }); err != nil {
				return err
			}
		}
	}
	return b.rewrite()
}

// Count says how many notes dir holds, without touching anything there. A directory that is not there holds none.
func Count(dir string) (int, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := new(Box)
	_, err = b.read(f)
	return len(b.items), err
}

// read takes in what a file holds and returns the lines that cannot be read. A last line without its end is most likely what a crash left of an Add that
// never returned, but nobody can tell.
func (b *Box) read(r io.Reader) (broken []byte, err error) {
	lines, bad := bufio.NewReaderSize(r, maxRecord), 0
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == nil:
			if rec, ok := parse(line[:len(line)-1]); ok {
				b.take(rec)
				continue
			}
		case errors.Is(err, io.EOF):
			if rec, ok := parse(line); ok {
				b.take(rec)
				line = nil
			}
			b.damage = damaged(bad, len(line) > 0)
			return keep(broken, line), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		if err != nil { // no line of ours is that long: pass over what is left of it
			for errors.Is(err, bufio.ErrBufferFull) {
				broken = keep(broken, line)
				line, err = lines.ReadSlice('\n')
			}
		}
		bad++
		broken = keep(broken, line)
	}
}

func keep(broken, line []byte) []byte {
	return append(broken, line[:min(len(line), max(0, maxAside-len(broken)))]...)
}

func damaged(lines int, tail bool) string {
	switch {
	case lines == 0 && !tail:
		return ""
	case lines == 0:
		return "The last entry of the notes kept on this computer is cut off: it was being written when the program stopped. What is left of it is in the file " + aside + "."
	case lines == 1 && !tail:
		return "One entry of the notes kept on this computer is damaged, and a note may be missing. What is left of it is in the file " + aside + "."
	case tail:
		lines++
	}
	return fmt.Sprintf("%d entries of the notes kept on this computer are damaged, and notes may be missing. What is left of them is in the file %s.", lines, aside)
}

// take does what a record says.
func (b *Box) take(r record) {
	switch {
	case r.Add != nil:
		if b.at(r.Add.ID) < 0 && len(b.items) < MaxNotes {
			b.items = append(b.items, Item{Note: *r.Add, State: StateWaiting})
		}
	case r.Gone != "":
		if i := b.at(r.Gone); i >= 0 {
			b.items = append(b.items[:i], b.items[i+1:]...)
		}
	case r.Refused != "":
		if i := b.at(r.Refused); i >= 0 {
			b.items[i].State, b.items[i].Reason = StateRefused, r.Reason
		}
	}
}

// rewrite gives the file exactly what the box holds, and opens it for more.
func (b *Box) rewrite() error {
	var size int64
	err := whole.Replace(b.file.path, func(w io.Writer) error {
		size = 0
		for _, it := range b.items {
			records := []record{{Add: &it.Note}}
			if it.State == StateRefused {
				records = append(records, record{Refused: it.ID, Reason: it.Reason})
			}
			for _, r := range records {
				line, err := r.line()
				if err != nil {
					return err
				}
				n, err := w.Write(line)
				if size += int64(n); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.file.path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if b.file.f != nil {
		b.file.f.Close() // replaced: what it holds is in the new one
	}
	b.file.f, b.file.size = f, size
	return nil
}

// append makes a record durable. After an error nothing of it counts, and the next one is written over it.
func (b *Box) append(r record) error {
	if b.closed {
		return unkept("closed", "Tocsin is closing, and takes no more notes. Start it again and write this one then.")
	}
	line, err := r.line()
	if err == nil {
		err = b.write(line)
	}
	if err != nil {
		return &Unkept{Code: "unwritten", Sentence: "This computer could not write to its disk, so the note is not kept. Copy it, and look whether the disk is full.", cause: err}
	}
	return nil
}

func (b *Box) write(line []byte) error {
	if b.file.f == nil {
		if err := b.rewrite(); err != nil {
			return err
		}
	}
	_, err := b.file.f.WriteAt(line, b.file.size)
	if err == nil {
		err = b.file.f.Sync()
	}
	if err != nil {
		// What the disk holds is not known any more: the next record goes into a file that is made anew.
		b.file.f.Close()
		b.file.f = nil
		return err
	}
	b.file.size += int64(len(line))
	return nil
}

// shrink writes the file anew when most of it is about notes that are gone. A failure is no harm: the old file says the same.
func (b *Box) shrink() {
	var live int64
	for _, it := range b.items {
		live += int64(len(it.Line))
	}
	if b.file.size > 2*live+slack || len(b.items) == 0 && b.file.size > 0 {
		_ = b.rewrite()
	}
}

// Close lets go of the file. The box takes no more.
func (b *Box) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.file.f == nil {
		return nil
	}
	err := b.file.f.Close()
	b.file.f = nil
	return err
}
