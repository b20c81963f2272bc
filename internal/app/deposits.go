package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
)

// depositsEvery is how often the deposits that could be taken back are asked for. A chain's monitor forgets what is older than ten minutes.
const depositsEvery = time.Minute

// deposits tells the monitors of chains how many dollars of deposits an attack could take back, where the configuration names a query.
type deposits struct {
	app     *App
	queries map[string]string // PromQL by the id of the chain

	mu     sync.Mutex
	silent map[string]bool // the last query did not answer
}

func newDeposits(ctx context.Context, a *App) (*deposits, error) {
	d := &deposits{app: a, queries: map[string]string{}, silent: map[string]bool{}}
	for _, c := range a.opt.Config.Chains {
		if strings.TrimSpace(c.OpenDepositsQuery) == "" {
			continue
		}
		if _, err := a.tsdb.Query(ctx, c.OpenDepositsQuery, a.opt.Clock()); errors.Is(err, metrics.ErrQuery) {
			return nil, fmt.Errorf("open deposits of chain %s: %w; mend open_deposits_query in the configuration (it is PromQL)", c.Name, err)
		}
		d.queries[slug(c.Name)] = c.OpenDepositsQuery
	}
	return d, nil
}

// run asks until ctx ends.
func (d *deposits) run(ctx context.Context) error {
	if len(d.queries) == 0 {
		return nil
	}
	tick := time.NewTicker(depositsEvery)
	defer tick.Stop()
	for {
		d.tell(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tell asks once for every chain. What does not answer is not known: nothing is told, and the log says so once.
func (d *deposits) tell(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, expr := range d.queries {
		usd, err := d.ask(ctx, expr)
		if err == nil {
			err = d.app.chain.Inject(ctx, chain.Observation{Kind: chain.KindDeposits, Chain: id, At: d.app.millis(), Deposits: usd})
			if errors.Is(err, telemetry.ErrUnknownChain) {
				continue // another replica watches it, and asks itself
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && !d.silent[id] {
			d.app.component("deposits").Warn("the open deposits of a chain are not known", "chain", id, "query", expr, "err", err)
		}
		d.silent[id] = err != nil
	}
}

var errNoSum = errors.New("it answers with nothing that is a sum of dollars")

// ask adds up what a query answers with; the series of drills do not count.
func (d *deposits) ask(ctx context.Context, expr string) (float64, error) {
	all, err := d.app.askImpact(ctx, expr, false)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	if len(all) == 0 || math.IsNaN(sum) || sum < 0 || sum >= 1e15 {
		return 0, errNoSum
	}
	return sum, nil
}
