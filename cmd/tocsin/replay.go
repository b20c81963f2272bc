package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tocsin-ops/tocsin/internal/chain"
	sets "github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/whole"
)

type replay struct {
	File   string `arg:"" optional:"" default:"-" help:"Recording to read, one observation a line in time order; - is standard input."`
	Config string `help:"YAML or JSON with what is known of chains, bridges, addresses, pegs and feeds." type:"existingfile" placeholder:"FILE"`
	State  string `help:"File to go on from, if it exists, and to save to at the end: a recording cut in two gives what the whole one gives." type:"path" placeholder:"FILE"`
	All    bool   `help:"Also write updates of what is open and weak findings."`
}

// Run writes the signals that a recording gives, each as soon as the line that leads to it was read. The state is saved only when the whole
// input was good.
func (r replay) Run(ctx context.Context, std streams) error {
	facts, err := detection.ReadFile(r.Config)
	if err != nil {
		return err
	}
	p := player{set: sets.NewSet(facts.Setup), all: r.All, Episodes: map[string]*episode{}}
	if r.State != "" {
		if err := p.load(r.State); err != nil {
			return err
		}
	}
	in := std.in
	if r.File != "-" {
		f, err := os.Open(r.File)
		if err != nil {
			return fmt.Errorf("open the recording: %w", err)
		}
		defer f.Close()
		in = f
	}
	before := p.set.Late()
	err = p.play(ctx, in, std.out)
	if late := p.set.Late() - before; late > 0 {
		fmt.Fprintf(std.err, "tocsin: in %d of the lines the time went backwards; each was taken for the newest time before it\n", late)
	}
	if err != nil || r.State == "" {
		return err
	}
	return p.save(r.State)
}

// player turns observations into lines.
type player struct {
	set      *sets.Set
	all      bool
	Episodes map[string]*episode // open ones, by the finding's key
	ended    map[string]bool     // ids of those that ended at endedAt: what opens again in the same millisecond is another
	endedAt  int64
}

// episode is one finding from its opening to its end.
type episode struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Written  bool   `json:"written,omitempty"` // its opening was
}

// playerState is what --state keeps.
type playerState struct {
	Set      json.RawMessage     `json:"set"`
	Episodes map[string]*episode `json:"episodes"`
	Ended    map[string]bool     `json:"ended,omitempty"`
	EndedAt  int64               `json:"ended_at,omitempty"`
}

func (p *player) load(name string) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	var s playerState
	if err = json.Unmarshal(b, &s); err == nil {
		err = p.set.Load(s.Set)
	}
	if err != nil {
		return fmt.Errorf("load the state %s: %w; remove the file to start anew", name, err)
	}
	p.ended, p.endedAt = s.Ended, s.EndedAt
	for k, e := range s.Episodes {
		if e != nil {
			p.Episodes[k] = e
		}
	}
	return nil
}

func (p *player) save(name string) error {
	b, err := p.set.Save()
	if err == nil {
		b, err = json.Marshal(playerState{b, p.Episodes, p.ended, p.endedAt})
	}
	if err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	return whole.Replace(name, func(f io.Writer) error {
		_, err := f.Write(b)
		return err
	})
}

// play reads to the end of the input. It writes out what it has whenever the input holds nothing more that is ready.
func (p *player) play(ctx context.Context, in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, observation.MaxLine+2)
	w := bufio.NewWriterSize(out, 64<<10)
	for n := 1; ; n++ {
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write signals: %w", err)
			}
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return errors.Join(fmt.Errorf("stopped at line %d", n), w.Flush())
		}
		line, err := r.ReadSlice('\n')
		last := errors.Is(err, io.EOF)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return errors.Join(fmt.Errorf("line %d: it is longer than %d bytes", n, observation.MaxLine), w.Flush())
		case err != nil && !last:
			return errors.Join(fmt.Errorf("line %d: read: %w", n, err), w.Flush())
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			o, err := observation.Decode(line)
			if err != nil {
				return errors.Join(fmt.Errorf("line %d: %w", n, err), w.Flush())
			}
			for _, f := range p.set.Observe(o) {
				if err := p.write(w, f); err != nil {
					return fmt.Errorf("write signals: %w", err)
				}
			}
		}
		if last {
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write signals: %w", err)
			}
			return nil
		}
	}
}

// signalLine is one line of the output; docs/replay.md tells what the fields mean.
type signalLine struct {
	At           observation.Time   `json:"at"`
	ID           string             `json:"id"`
	Kind         string             `json:"kind"`
	Subject      string             `json:"subject"`
	Severity     string             `json:"severity"`
	State        string             `json:"state"`
	Title        string             `json:"title"`
	Reason       string             `json:"reason"`
	Score        float64            `json:"score"`
	Chain        string             `json:"chain,omitempty"`
	Detector     string             `json:"detector"`
	Verification chain.Verification `json:"verification,omitempty"`
	Seen         []string           `json:"seen,omitempty"`
	Weak         bool               `json:"weak,omitempty"`
	Update       bool               `json:"update,omitempty"`
	Drill        bool               `json:"drill,omitempty"`
	Since        observation.Time   `json:"since"`
	Evidence     []json.RawMessage  `json:"evidence"`
}

// write gives out one line for the opening and one for the end of an episode, and one for every time it gets worse; the rest with --all.
func (p *player) write(w io.Writer, f chain.Finding) error {
	e := p.Episodes[f.Key]
	update, show := false, p.all
	switch {
	case f.Firing && e == nil:
		e = &episode{ID: p.episodeID(f)}
		p.Episodes[f.Key] = e
		show = show || !f.Weak
	case f.Firing:
		worse := f.Severity < e.Severity
		update = e.Written
		show = show || (!f.Weak && (worse || !e.Written))
	case e == nil:
		return nil // it was never open
	default:
		show = show || e.Written
		delete(p.Episodes, f.Key)
		if f.At != p.endedAt || p.ended == nil {
			p.ended, p.endedAt = map[string]bool{}, f.At
		}
		p.ended[e.ID] = true
	}
	if e.Severity == "" || f.Severity < e.Severity {
		e.Severity = f.Severity
	}
	if !show {
		return nil
	}
	e.Written = true
	s := signalLine{At: observation.Time(f.At), ID: e.ID, Kind: f.Kind, Subject: f.Subject, Severity: f.Severity, State: "open", Title: f.Title, Reason: f.Reason,
		Score: f.Score, Chain: f.Chain, Detector: f.Detector, Verification: f.Verification, Seen: f.Seen, Weak: f.Weak, Update: update, Drill: f.Drill,
		Since: observation.Time(f.Since), Evidence: []json.RawMessage{}}
	if !f.Firing {
		s.State = "cleared"
	}
	if s.Detector == "" {
		s.Detector = f.Kind
	}
	if len(f.Evidence) > 0 {
		s.Evidence = append(s.Evidence, f.Evidence)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Key, err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// episodeID is the same for the same episode however often it is replayed, and no two episodes have the same.
func (p *player) episodeID(f chain.Finding) string {
	for n := 0; ; n++ {
		text := fmt.Appendf(nil, "%s@%d", f.Key, f.At)
		if n > 0 {
			text = fmt.Appendf(text, "#%d", n)
		}
		sum := sha256.Sum256(text)
		id := hex.EncodeToString(sum[:8])
		if f.At != p.endedAt || !p.ended[id] {
			return id
		}
	}
}
