package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/detect/series"
	"github.com/tocsin-ops/tocsin/internal/whole"
)

// longestRow bounds a line of the input: a timestamp and a number need less.
const longestRow = 64 << 10

type detect struct {
	State string `help:"File to load the detector's state from, if it exists, and to save it to at the end." type:"path" placeholder:"FILE"`
}

// Run answers every row of standard input as soon as it is read: it writes out what it has whenever the input holds nothing more that is ready, so a
// person at a terminal sees each score at once and a pipe gets large blocks. The state is saved only when the whole input was good.
func (d detect) Run(std streams) error {
	det := series.New(series.Options{})
	if d.State != "" {
		b, err := os.ReadFile(d.State)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("read state: %w", err)
		default:
			if err := det.UnmarshalBinary(b); err != nil {
				return fmt.Errorf("load state %s: %w; remove the file to start anew", d.State, err)
			}
		}
	}
	if err := scoreRows(std.in, std.out, det); err != nil {
		return err
	}
	if d.State == "" {
		return nil
	}
	b, err := det.MarshalBinary()
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return whole.Replace(d.State, func(f io.Writer) error {
		_, err := f.Write(b)
		return err
	})
}

// scoreRows reads timestamp,value with a header and writes timestamp,value,anomaly_score; rows come back byte for byte. A row whose value is NaN or
// infinite is no sample: it comes back with score 0. An empty line is passed over. Any other line that cannot be read ends it with an error that names the line.
func scoreRows(in io.Reader, out io.Writer, det *series.Detector) error {
	r := bufio.NewReaderSize(in, longestRow)
	w := bufio.NewWriterSize(out, longestRow)
	fail := func(line int, err error) error {
		return errors.Join(fmt.Errorf("line %d: %w", line, err), w.Flush())
	}
	for line := 1; ; line++ {
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write scores: %w", err)
			}
		}
		row, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fail(line, fmt.Errorf("longer than %d bytes; rows are timestamp,value", longestRow))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fail(line, fmt.Errorf("read: %w", err))
		}
		if len(row) == 0 && errors.Is(err, io.EOF) {
			if line == 1 {
				return fail(line, errors.New("no input; the first line must be timestamp,value"))
			}
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write scores: %w", err)
			}
			return nil
		}
		row = bytes.TrimRight(row, "\r\n")
		if line == 1 {
			if h := bytes.TrimPrefix(row, []byte("\ufeff")); !bytes.Equal(h, []byte("timestamp,value")) {
				return fail(line, fmt.Errorf("header %.40q; it must be timestamp,value", h))
			}
			w.WriteString("timestamp,value,anomaly_score\n")
			continue
		}
		if len(row) == 0 {
			continue
		}
		at, v, err := sample(row)
		if err != nil {
			return fail(line, err)
		}
		score := det.Observe(at, v).Score
		w.Write(row)
		w.WriteByte(',')
		w.Write(strconv.AppendFloat(w.AvailableBuffer(), score, 'g', -1, 64))
		w.WriteByte('\n')
	}
}

// sample reads one row.
func sample(row []byte) (at int64, v float64, err error) {
	i := bytes.IndexByte(row, ',')
	if i < 0 {
		return 0, 0, fmt.Errorf("%.40q has no comma; rows are timestamp,value", row)
	}
	at, ok := instant(row[:i])
	if !ok {
		return 0, 0, fmt.Errorf("timestamp %.40q; write 2006-01-02 15:04:05, RFC 3339 or unix seconds", row[:i])
	}
	v, ok = decimal(row[i+1:])
	if !ok {
		return 0, 0, fmt.Errorf("value %.40q is no number", row[i+1:])
	}
	return at, v, nil
}
