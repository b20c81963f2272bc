package detection

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// File is what the detectors are told, by the file that serve and replay both read: what is tried on a recording is what runs.
type File struct {
	detect.Setup `yaml:",inline"`
	// Forecasts are bounds that figures should not cross, beside those that are known without being told.
	Forecasts []Bound `yaml:"forecasts,omitempty"`
	// Services says what depends on what: names are components as alerts have them, or chains.
	Services []Service `yaml:"services,omitempty"`
}

// Service is one service and what it needs.
type Service struct {
	Name      string   `yaml:"name"`
	DependsOn []string `yaml:"depends_on"`
}

// Bound is a value that the series of a query should not cross. Every series of the answer is looked at for itself.
type Bound struct {
	Title string  `yaml:"title"`
	Query string  `yaml:"query"` // PromQL
	Value float64 `yaml:"value"`
	Above bool    `yaml:"above,omitempty"` // trouble lies above the value; else below
	// Warn is how long before the crossing a finding opens; "" = 4h.
	Warn observation.Span `yaml:"warn,omitempty"`
	// Window is how much of the past the trend is taken from; "" = 6h.
	Window   observation.Span `yaml:"window,omitempty"`
	Severity string           `yaml:"severity,omitempty"` // "" = SEV4
}

const (
	fileMost     = 4 << 20
	boundsMost   = 200
	servicesMost = 1000
)

// ReadFile reads and checks the file; "" gives the File that tells nothing. Errors end with the remedy.
func ReadFile(name string) (c File, err error) {
	if name == "" {
		return c, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return c, fmt.Errorf("open the detectors' configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileMost+1))
	if err != nil {
		return c, fmt.Errorf("read the detectors' configuration: %w", err)
	}
	if len(b) > fileMost {
		return c, fmt.Errorf("read %s: it is larger than %d bytes; name fewer addresses", name, fileMost)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		why := strings.NewReplacer(" in type detect.", " among what is known of ", " in type detection.", " among what is known of ").Replace(strings.TrimPrefix(err.Error(), "yaml: "))
		return c, fmt.Errorf("read %s: %s; see docs/replay.md for the settings", name, why)
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("read %s: %w", name, err)
	}
	return c, nil
}

// Check says as a sentence what is wrong, nil when nothing is. Queries are judged when they are asked.
func (c File) Check() error {
	if err := c.Setup.Check(); err != nil {
		return err
	}
	if len(c.Forecasts) > boundsMost || len(c.Services) > servicesMost {
		return fmt.Errorf("at most %d forecasts and %d services can be named; leave some out", boundsMost, servicesMost)
	}
	for _, b := range c.Forecasts {
		switch {
		case b.Title == "" || len(b.Title) > 100 || b.Query == "" || len(b.Query) > 2000:
			return fmt.Errorf("forecast %q: give a title of at most 100 characters and a query", b.Title)
		case b.Severity != "" && (len(b.Severity) != 4 || b.Severity < "SEV1" || b.Severity > "SEV5"):
			return fmt.Errorf("forecast %q: severity %q is none of SEV1 to SEV5", b.Title, b.Severity)
		case b.Window != 0 && (b.Window < 10*60_000 || b.Window > 30*86_400_000):
			return fmt.Errorf("forecast %q: the window is between 10m and 30d", b.Title)
		}
	}
	for _, s := range c.Services {
		if s.Name == "" || len(s.DependsOn) > 100 {
			return fmt.Errorf("service %q: give a name, and at most 100 services that it depends on", s.Name)
		}
	}
	return nil
}

// Graph is what depends on what.
func (c File) Graph() []forecast.Edge {
	var out []forecast.Edge
	for _, s := range c.Services {
		for _, on := range s.DependsOn {
			out = append(out, forecast.Edge{Service: s.Name, On: on})
		}
	}
	return out
}

// Bounds are those told, and those known of Tocsin's own series.
func (c File) Bounds() []Bound { return append(append([]Bound(nil), c.Forecasts...), boundsKnown...) }

// boundsKnown are bounds of protocols and of this machine. Sources: Bitcoin Core's default -maxmempool; the consensus specification's inactivity
// leak after 4 epochs (MIN_EPOCHS_TO_INACTIVITY_PENALTY); the OP Stack's sequencer window, of which the collector gives the share used.
var boundsKnown = []Bound{
	{Title: "Disk of this machine", Query: "tocsin_disk_free_bytes", Value: 1 << 30, Warn: 24 * 3_600_000, Window: 24 * 3_600_000},
	{Title: "Mempool of the node", Query: "tocsin_chain_mempool_bytes", Value: 300e6, Above: true, Warn: 3_600_000},
	{Title: "Finality", Query: "max by (chain) (tocsin_beacon_finality_lag_epochs)", Value: 4, Above: true, Warn: 3_600_000, Window: 2 * 3_600_000},
	{Title: "Sequencer window", Query: "max by (chain) (tocsin_rollup_window_used_ratio)", Value: 1, Above: true, Warn: 4 * 3_600_000},
	{Title: "Cost of an attack to open deposits", Query: "min by (chain) (tocsin_chain_attack_cost_usd / on (chain) (tocsin_chain_open_deposits_usd > 0))", Value: 1, Warn: 24 * 3_600_000, Window: 24 * 3_600_000},
	{Title: "Balance", Query: "tocsin_watch_balance > 0", Value: 0, Warn: 4 * 3_600_000},
}
