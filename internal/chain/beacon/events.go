package beacon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

const (
	longestLine  = 64 << 10         // bytes of one line of the stream; a longer one ends it
	silence      = 90 * time.Second // without any line, even a comment, the stream is taken for dead
	eventsPerSec = 20
	eventsBurst  = 100
	againFirst   = 2 * time.Second
	againMost    = 2 * time.Minute
)

// topics are asked for together; a client may refuse a topic it does not know with 4xx for the whole stream, so fewer are asked then.
var topics = []string{"head,chain_reorg,finalized_checkpoint", "head,chain_reorg", "head"}

// event is one event of the stream; only what is used of it is read.
type event struct {
	name string
	data []byte
}

// follow reads /eth/v1/events until ctx ends and hands events over. That there are none is no failure: heads are polled then.
func (c *Collector) follow(ctx context.Context, to chan<- event) {
	asked, fails := 0, 0
	for ctx.Err() == nil {
		began := time.Now()
		err := c.read(ctx, topics[asked], to)
		if ctx.Err() != nil {
			return
		}
		var status *dial.StatusError
		if errors.As(err, &status) && status.Status >= 400 && status.Status < 500 && status.Status != 429 && asked < len(topics)-1 {
			c.log.Info("topics are refused, asking for fewer", "topics", topics[asked], "status", status.Status)
			asked++
			continue
		}
		if time.Since(began) > time.Minute {
			fails = 0
		}
		if fails++; fails == 1 {
			c.log.Info("no events, polling", "why", dial.Sentence(err, c.cfg.URL))
		}
		wait := dial.Backoff(fails, againFirst, againMost)
		if status != nil && status.Status < 500 {
			wait = absentFor // it serves no events
		}
		if rest := dial.Limited(err); rest > 0 {
			wait = rest
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// read reads one stream until it ends. Lines are bounded, events are taken at most so fast, and a stream that says nothing is given up.
func (c *Collector) read(ctx context.Context, topics string, to chan<- event) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := dial.Request(ctx, c.cfg.URL, "/eth/v1/events?topics="+topics)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.stream.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &dial.StatusError{Status: resp.StatusCode}
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return &dial.StatusError{Status: http.StatusNotAcceptable}
	}
	idle := time.AfterFunc(silence, cancel)
	defer idle.Stop()
	pace := rate.NewLimiter(eventsPerSec, eventsBurst)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 4096), longestLine)
	var e event
	for lines.Scan() {
		idle.Reset(silence)
		if err := pace.Wait(ctx); err != nil { // the node waits too: nothing is kept
			return err
		}
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.name = value
		case "data":
			e.data = []byte(value)
		case "":
			if len(lines.Bytes()) > 0 || e.name == "" {
				continue // a comment, or nothing yet
			}
			select {
			case to <- e:
			case <-ctx.Done():
				return ctx.Err()
			}
			e = event{}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return dial.Distrust("Its event stream has a line above %d KiB: the stream is not trusted.", longestLine>>10)
	} else if err != nil {
		return err
	}
	return fmt.Errorf("the event stream ended: EOF")
}

// happened does what an event asks for. Events are hints: what they say is asked again, except chain_reorg, whose depth nothing else tells; an
// event that cannot be read is left out, and polling goes on.
func (c *Collector) happened(ctx context.Context, e event) error {
	switch e.name {
	case "head":
		var h struct {
			Block root `json:"block"`
		}
		if tip, _ := c.tree.Tip(); json.Unmarshal(e.data, &h) != nil || h.Block == "" || tip.Hash == string(h.Block) {
			return nil
		}
		return c.look(ctx, "head")
	case "chain_reorg":
		var r struct {
			Slot  number `json:"slot"`
			Depth number `json:"depth"`
			Old   root   `json:"old_head_block"`
			New   root   `json:"new_head_block"`
		}
		if json.Unmarshal(e.data, &r) != nil || r.New == "" || int64(r.Slot) > c.clockSlot()+1 || r.Depth > r.Slot {
			return nil
		}
		if err := c.look(ctx, "head"); err != nil {
			return err
		}
		o := c.observation(chain.KindBeacon)
		o.Beacon = &chain.Slots{Reorg: &chain.ToldReorg{Slot: int64(r.Slot), Depth: int64(r.Depth), Old: string(r.Old), New: string(r.New)}}
		c.sink(o)
	case "finalized_checkpoint":
		if err := c.askCheckpoints(ctx); err != nil && !errors.Is(err, errAbsent) {
			return err
		}
	}
	return nil
}
