package evmwatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// header is the part of a block that is followed. The hash is the node's own word; it is not computed.
type header struct {
	Number string      `json:"number"`
	Hash   common.Hash `json:"hash"`
	Parent common.Hash `json:"parentHash"`
	Time   string      `json:"timestamp"`
	Bloom  bloom       `json:"logsBloom"`
	Txs    []hashOnly  `json:"transactions"`
	height int64
}

// hashOnly is a transaction of which nothing is kept.
type hashOnly struct{}

func (*hashOnly) UnmarshalJSON([]byte) error { return nil }

var errNoBlock = errors.New("the node does not have the block")

func (h *header) check() error {
	if h == nil {
		return errNoBlock
	}
	n, err := quantity(h.Number)
	if err != nil || h.Hash == (common.Hash{}) {
		return fmt.Errorf("read block %s: number %q: %w", h.Hash, printable(h.Number, 20), dial.ErrNotJSON)
	}
	h.height = n
	return nil
}

func quantity(s string) (int64, error) {
	if !strings.HasPrefix(s, "0x") || len(s) > 18 {
		return 0, fmt.Errorf("read quantity %q", printable(s, 20))
	}
	return strconv.ParseInt(s[2:], 16, 64)
}

func hexNumber(n int64) string { return "0x" + strconv.FormatInt(n, 16) }

const (
	batchMost = 100
	burst     = 300
	lateMost  = 3 // answers of one round that may come too late
	absentFor = 10 * time.Minute
	slowFor   = 5 * time.Minute
)

// line is the connection to one node: it keeps the rate, the size of batches and what the node refuses.
type line struct {
	client  *rpc.Client
	timeout time.Duration
	rate    float64
	limit   *rate.Limiter
	size    int                  // of a batch
	absent  map[string]time.Time // methods and forms that the node refuses, until when; as many as this package asks for
	slow    time.Time            // until when the rate is lowered
}

func newLine(perSecond float64, timeout time.Duration) *line {
	return &line{timeout: timeout, rate: perSecond, limit: rate.NewLimiter(rate.Limit(perSecond), burst), size: batchMost, absent: map[string]time.Time{}}
}

func (l *line) call(ctx context.Context, out any, method string, args ...any) error {
	if !l.slow.IsZero() && time.Now().After(l.slow) {
		l.slow = time.Time{}
		l.limit.SetLimit(rate.Limit(l.rate))
	}
	if err := l.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err := l.client.CallContext(ctx, out, method, args...)
	l.refused(err)
	return err
}

// refused slows down to a quarter for five minutes after a node said that we ask too much.
func (l *line) refused(err error) {
	if limited(err) {
		l.slow = time.Now().Add(slowFor)
		l.limit.SetLimit(rate.Limit(max(l.rate/4, 1)))
	}
}

// limited tells whether a node says that we ask too much.
func limited(err error) bool {
	var status rpc.HTTPError
	var rpcErr rpc.Error
	return (errors.As(err, &status) && status.StatusCode == 429) || (errors.As(err, &rpcErr) && (rpcErr.ErrorCode() == -32005 || rpcErr.ErrorCode() == 429))
}

// batch does many calls in as few requests as the node takes; every element has its own Error afterwards. An error means that the node
// cannot be asked.
func (l *line) batch(ctx context.Context, all []rpc.BatchElem) error {
	for late := 0; len(all) > 0; {
		n := min(l.size, len(all))
		if n == 1 {
			all[0].Error = l.call(ctx, all[0].Result, all[0].Method, all[0].Args...)
			if errors.Is(all[0].Error, context.DeadlineExceeded) {
				late++
			}
			if down(all[0].Error) || late == lateMost {
				return all[0].Error
			}
			all = all[1:]
			continue
		}
		if err := l.limit.WaitN(ctx, n); err != nil {
			return err
		}
		bctx, cancel := context.WithTimeout(ctx, l.timeout)
		err := l.client.BatchCallContext(bctx, all[:n])
		cancel()
		if err == nil {
			for i := range n {
				if e := all[i].Error; e != nil && (errors.Is(e, rpc.ErrMissingBatchResponse) || tooMany(e)) {
					err = e
				}
			}
		}
		switch {
		case err == nil:
			all = all[n:]
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case down(err) && !errors.Is(err, rpc.ErrMissingBatchResponse):
			return err
		case errors.Is(err, context.DeadlineExceeded):
			if late++; late == lateMost {
				return err
			}
		}
		l.refused(err)
		l.size = max(l.size/4, 1) // the node takes smaller batches, or none
		for i := range n {
			all[i].Error = nil
		}
	}
	return nil
}

// tooMany is what providers say to a batch that they find too large.
func tooMany(err error) bool {
	s := strings.ToLower(err.Error())
	return strings.Contains(s, "batch") || strings.Contains(s, "response too large") || strings.Contains(s, "response size")
}

// down tells whether an error means that the node cannot be asked at all. An answer that is late, too large, not trusted or not what was asked
// for is a matter of that one question: it must not stop the others.
func down(err error) bool {
	var rpcErr rpc.Error
	var status rpc.HTTPError
	var untrusted *dial.Untrusted
	for _, single := range []error{errNoBlock, errUntrusted, dial.ErrTooLarge, context.DeadlineExceeded} {
		if errors.Is(err, single) {
			return false
		}
	}
	return err != nil && !errors.As(err, &rpcErr) && !errors.As(err, &status) && !errors.As(err, &untrusted) && !garbled(err)
}

// garbled is an answer that is not what was asked for.
func garbled(err error) bool {
	var syntax *json.SyntaxError
	var types *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &types) || errors.Is(err, dial.ErrNotJSON) || errors.Is(err, rpc.ErrNoResult) ||
		(err != nil && (strings.Contains(err.Error(), "hex string") || strings.Contains(err.Error(), "invalid character")))
}

// has tells whether the node is not known to refuse something; lacks remembers for ten minutes that it does.
func (l *line) has(what string) bool { return !time.Now().Before(l.absent[what]) }

func (l *line) lacks(what string) { l.absent[what] = time.Now().Add(absentFor) }
