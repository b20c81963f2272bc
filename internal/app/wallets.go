package app

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/wallet"
	"github.com/tocsin-ops/tocsin/internal/whole"
)

const walletsEvery = 5 * time.Minute // between writings of the graph

// wallets is the graph of addresses that the watchers' observations build. It is written down now and then; what came since is lost by a crash.
type wallets struct {
	app  *App
	path string

	mu    sync.Mutex
	graph *wallet.Graph
	fresh bool // changed since it was written
}

func newWallets(a *App, watched []detect.Watched) *wallets {
	w := &wallets{app: a, path: filepath.Join(a.opt.Config.Data, DetectionDir, "wallets"), graph: wallet.New(wallet.Limits{})}
	b, err := os.ReadFile(w.path)
	if err == nil {
		if err = w.graph.Load(b); err != nil {
			w.graph = wallet.New(wallet.Limits{})
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.component("wallets").Warn("the graph of addresses cannot be used; it is built anew", "err", err)
	}
	w.graph.Unsay(fromConfiguration, func(id string) bool { // what stood in the file once is said by nobody now
		chain, address, _ := strings.Cut(id, "/")
		return slices.ContainsFunc(watched, func(x detect.Watched) bool {
			return (x.Chain == "" || x.Chain == chain) && wallet.ID(chain, x.Address) == wallet.ID(chain, address)
		})
	})
	for _, x := range watched {
		if x.Chain == "" {
			continue // on every chain: it is labelled when it is first seen there
		}
		w.label(x, x.Chain)
	}
	return w
}

// fromConfiguration is who says what the file says of addresses.
const fromConfiguration = "configuration"

func (w *wallets) label(x detect.Watched, chain string) {
	typ := wallet.Watched
	switch x.Kind {
	case "exchange":
		typ = wallet.Exchange
	case "mixer":
		typ = wallet.Mixer
	case "bridge":
		typ = wallet.Bridge
	case "contract":
		typ = wallet.Contract
	case "attacker":
		typ = wallet.Flagged
	}
	name := x.Label
	if name == "" {
		name = x.Address
	}
	if err := w.graph.Label(wallet.ID(chain, x.Address), wallet.Label{Name: name, Type: typ, Source: fromConfiguration, At: w.app.millis()}); err != nil {
		w.app.component("wallets").Warn("an address was not labelled", "err", err)
	}
}

// observe adds what concerns the graph.
func (w *wallets) observe(o observation.Observation, watched []detect.Watched) {
	if o.Drill {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.graph.Observe(o) {
		return
	}
	w.fresh = true
	for _, x := range watched {
		if x.Chain != "" {
			continue
		}
		for _, address := range []string{o.From, o.To} {
			if address != "" && wallet.ID(o.Chain, address) == wallet.ID(o.Chain, x.Address) {
				w.label(x, o.Chain)
			}
		}
	}
}

// run writes the graph down until ctx ends, and once more then.
func (w *wallets) run(ctx context.Context) error {
	tick := time.NewTicker(walletsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.save()
			return nil
		case <-tick.C:
			w.save()
		}
	}
}

func (w *wallets) save() {
	w.mu.Lock()
	fresh := w.fresh
	var b []byte
	var err error
	if fresh {
		b, err = w.graph.Save()
		w.fresh = false
	}
	w.mu.Unlock()
	if err == nil && fresh {
		err = whole.Replace(w.path, func(f io.Writer) error {
			_, err := f.Write(b)
			return err
		})
	}
	if err != nil {
		w.app.component("wallets").Error("the graph of addresses was not written down; is there room on the disk?", "err", err)
	}
}

// Wallets lets see look at the graph; see must be quick and keep nothing.
func (w *wallets) Wallets(see func(*wallet.Graph)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	see(w.graph)
}
