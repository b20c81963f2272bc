package opstack

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// sight is what L1 shows, or why it shows nothing.
type sight struct {
	batch chain.Batch
	why   string
}

// watcher looks for batches on L1. Batches are transactions (calldata or blobs) to an address without code, so there are no logs: the blocks
// themselves are read.
type watcher struct {
	http    *http.Client
	url     string
	inbox   string
	batcher string
	timeout time.Duration
	limit   *rate.Limiter
	upto    int64
	batch   chain.Batch
}

// watchL1 looks at L1 until ctx ends, also when L1 fails: the rollup node is watched all the same, and the reason says what is not known.
func (c *Collector) watchL1(ctx context.Context, r rollup, to chan<- sight) {
	if c.cfg.L1.URL == "" {
		return
	}
	w := &watcher{http: dial.Client(c.cfg.Timeout), url: c.cfg.L1.URL, inbox: c.cfg.L1.Inbox, batcher: c.cfg.L1.Batcher, timeout: c.cfg.Timeout, limit: rate.NewLimiter(rate.Limit(c.cfg.Rate), 50)}
	defer w.http.CloseIdleConnections()
	if w.inbox == "" {
		w.inbox = r.Inbox
	}
	tick := time.NewTicker(c.cfg.Slow)
	defer tick.Stop()
	for checked := false; ; {
		var err error
		if !checked {
			err = w.check(ctx, r)
			checked = err == nil
		}
		if err == nil {
			err = w.look(ctx)
		}
		s := sight{batch: w.batch}
		if err != nil {
			s.why = "Its L1 is not read, so the age of batches is not known: " + dial.Sentence(err, w.url)
		}
		select {
		case <-ctx.Done():
			return
		case to <- s:
		}
		if rest := dial.Limited(err); rest > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(rest):
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *watcher) call(ctx context.Context, out any, method string, params ...any) error {
	if err := w.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	return dial.CallStrict(ctx, w.http, w.url, method, params, out)
}

// check holds L1 against what the rollup node says of it.
func (w *watcher) check(ctx context.Context, r rollup) error {
	if _, err := dial.Check(w.url, "http", "https"); err != nil {
		return err
	}
	if len(w.inbox) != 42 || !strings.HasPrefix(w.inbox, "0x") {
		return &dial.Refused{Sentence: "The batch inbox address is not known: the rollup node does not tell it, so write it into l1.inbox."}
	}
	var id bigInt
	if err := w.call(ctx, &id, "eth_chainId"); err != nil {
		return err
	}
	if r.L1 != nil && *r.L1 != id {
		return &dial.Refused{Sentence: "It serves chain " + label(string(id)) + ", but the rollup stands on chain " + label(string(*r.L1)) + "."}
	}
	return nil
}

// look reads the L1 blocks that came since, at most lookMost: after a stall only the newest.
func (w *watcher) look(ctx context.Context) error {
	var at string
	if err := w.call(ctx, &at, "eth_blockNumber"); err != nil {
		return err
	}
	top, err := quantity(at)
	if err != nil {
		return err
	}
	if top < w.upto-lookMost {
		w.upto = top - 1 // another server behind the address, or a chain that began anew
	}
	from := max(w.upto+1, top-lookMost+1, 0)
	for n := from; n <= top; n++ {
		var b *l1Block
		if err := w.call(ctx, &b, "eth_getBlockByNumber", "0x"+strconv.FormatInt(n, 16), true); err != nil {
			return err
		}
		if b == nil {
			return nil // a server behind the same address that is not there yet
		}
		got, err := quantity(b.Number)
		if err != nil {
			return err
		}
		at, err := quantity(b.Time)
		if err != nil {
			return err
		}
		if got != n {
			return dial.Distrust("It was asked for block %d and gave block %d: the answer is not trusted.", n, got)
		}
		w.upto, w.batch.Upto = n, n
		if w.batch.Time == 0 {
			w.batch.Time = at * 1000 // no batch yet: its age is at least this
		}
		for _, t := range b.Transactions {
			if t.To != nil && strings.EqualFold(*t.To, w.inbox) && (w.batcher == "" || strings.EqualFold(t.From, w.batcher)) {
				w.batch.Height, w.batch.Time = n, at*1000
			}
		}
	}
	return nil
}
