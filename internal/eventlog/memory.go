package eventlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Memory is what a verifier remembers from run to run: the newest checkpoint of
// each log (origin and key), and the key that was in use at each place. With it, a
// log that was shortened, forked or signed anew does not pass a second time. It is
// for one goroutine.
type Memory struct {
	path string
	file memoryFile
}

type memoryFile struct {
	Format int               `json:"format"`
	Keys   map[string]string `json:"keys"` // by place
	Logs   []Checkpoint      `json:"checkpoints"`
	Saved  string            `json:"saved,omitempty"`
}

// LoadMemory reads the state file at path. A file that is not there is an empty
// Memory; a damaged one is an error, because forgetting is what an attacker wants.
func LoadMemory(path string) (*Memory, error) {
	m := &Memory{path: path, file: memoryFile{Format: 1, Keys: map[string]string{}}}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load remembered checkpoints: %w", err)
	}
	if err := json.Unmarshal(b, &m.file); err != nil || m.file.Format != 1 {
		return nil, fmt.Errorf("load remembered checkpoints: %s is not a format 1 state file (%v); restore it, or remove it to trust on first use again", path, err)
	}
	if m.file.Keys == nil {
		m.file.Keys = map[string]string{}
	}
	for _, c := range m.file.Logs {
		got, err := ParseCheckpoint([]byte(c.Signed), c.Verifier)
		if err != nil || got != c {
			return nil, fmt.Errorf("load remembered checkpoints: %s: the one of %s is damaged; restore the file, or remove it to trust on first use again", path, c.Origin)
		}
	}
	return m, nil
}

// Key is the verifier key that the log at place was signed with, "" if unknown.
func (m *Memory) Key(place string) string { return m.file.Keys[place] }

// Checkpoints returns the remembered checkpoint of the log with this origin and
// key, as none or one element.
func (m *Memory) Checkpoints(origin, verifier string) []Checkpoint {
	for _, c := range m.file.Logs {
		if c.Origin == origin && c.Verifier == verifier {
			return []Checkpoint{c}
		}
	}
	return nil
}

// Remember takes what Verify found right. A smaller checkpoint does not replace a
// larger one of the same log.
func (m *Memory) Remember(r Report) {
	c := r.Checkpoint
	m.file.Keys[r.Place] = c.Verifier
	for i, old := range m.file.Logs {
		if old.Origin == c.Origin && old.Verifier == c.Verifier {
			if c.Size >= old.Size {
				m.file.Logs[i] = c
			}
			return
		}
	}
	m.file.Logs = append(m.file.Logs, c)
}

// Save writes the state file as a whole or not at all, readable by its owner only,
// and makes its directory if need be.
func (m *Memory) Save() error {
	m.file.Saved = time.Now().UTC().Format(time.RFC3339)
	b, err := json.MarshalIndent(m.file, "", "  ")
	if err != nil {
		return fmt.Errorf("save remembered checkpoints: %w", err)
	}
	if err := m.save(append(b, '\n')); err != nil {
		return fmt.Errorf("save remembered checkpoints: %w", err)
	}
	return nil
}

func (m *Memory) save(b []byte) error {
	dir := filepath.Dir(m.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".checkpoints-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), m.path)
}
