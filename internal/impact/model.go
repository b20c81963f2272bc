package impact

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Names of the presets.
const (
	Exchange  = "exchange"
	Custodian = "custodian"
	Validator = "validator"
	Bridge    = "bridge"
	DeFi      = "defi"
	L2        = "l2"
	DORA      = "dora" // a financial entity of the European Union
)

// Presets are the names of all presets, in the order of the tables of this package.
func Presets() []string { return []string{Exchange, Custodian, Validator, Bridge, DeFi, L2, DORA} }

// Weights are the shares of the five axes. Only their proportions count.
type Weights [AxisCount]float64

// weightsOf are the presets' own weights: services, users, money, regulatory, sentiment. They say what a practitioner of that trade looks at
// first: a validator at its duties, a custodian and a bridge at what they hold, an exchange at what its clients can do, a rollup at whether it
// runs, a financial entity of the EU at what it must report.
var weightsOf = map[string]Weights{
	Exchange:  {0.25, 0.25, 0.25, 0.15, 0.10},
	Custodian: {0.20, 0.10, 0.40, 0.20, 0.10},
	Validator: {0.45, 0.10, 0.25, 0.05, 0.15},
	Bridge:    {0.20, 0.10, 0.50, 0.05, 0.15},
	DeFi:      {0.20, 0.15, 0.45, 0.05, 0.15},
	L2:        {0.35, 0.25, 0.20, 0.05, 0.15},
	DORA:      {0.25, 0.20, 0.15, 0.30, 0.10},
}

// Criticalities of a service.
const (
	Critical  = "critical"
	Important = "important"
	Normal    = "normal"
)

// Criticalities from bad to mild.
func Criticalities() []string { return []string{Critical, Important, Normal} }

// Service is one that the installation runs; Name is a component as alerts have it, or a chain.
type Service struct {
	Name        string
	Criticality string // "" = normal
	Users       int64  // who use it; 0: not known
	Regulated   bool
	// PerMinute is what a minute of its outage is assumed to cost, in dollars, with its range; 0: nothing is assumed.
	PerMinute, Low, High float64
}

// KindLoss is what a minute with an open signal of a kind is assumed to cost.
type KindLoss struct {
	Kind                 string
	PerMinute, Low, High float64
}

// Model is how an installation judges. It is a value; nothing changes it.
type Model struct {
	Preset     string
	Weights    Weights // all 0: those of the preset
	Services   []Service
	Losses     []KindLoss
	UsersTotal float64 // 0: not known
	HeldUSD    float64 // assets held, or value locked; 0: not known
	DORA       bool    // say whether it is a major incident; the preset DORA always does
	EURUSD     float64 // dollars for one euro; 0: 1
}

// Check says as a sentence what is wrong with the model; nil when nothing is.
func (m Model) Check() error {
	if _, ok := weightsOf[m.Preset]; !ok {
		return wrong("%q is no preset; choose one of %s.", m.Preset, strings.Join(Presets(), ", "))
	}
	sum := 0.0
	for i, w := range m.Weights {
		if w < 0 || w > 1000 || math.IsNaN(w) {
			return wrong("the weight of %s must be a number between 0 and 1000.", AxisNames[i])
		}
		sum += w
	}
	if sum == 0 && m.Weights != (Weights{}) {
		return wrong("at least one weight must be above 0.")
	}
	for _, s := range m.Services {
		if s.Name == "" || s.Users < 0 || s.PerMinute < 0 || s.Low < 0 || s.High < s.Low || s.Criticality != "" && !slices.Contains(Criticalities(), s.Criticality) {
			return wrong("service %q: give a name, a criticality of %s, and numbers of at least 0.", s.Name, strings.Join(Criticalities(), ", "))
		}
	}
	return nil
}

// shares are the weights, normalised to a sum of 1.
func (m Model) shares() Weights {
	w := m.Weights
	sum := 0.0
	for _, x := range w {
		sum += x
	}
	if sum <= 0 {
		w, sum = weightsOf[m.Preset], 1
		if w == (Weights{}) {
			w = weightsOf[Exchange]
		}
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

func (m Model) eurUSD() float64 {
	if m.EURUSD > 0 {
		return m.EURUSD
	}
	return 1
}

// service finds one by the name of a component or a chain, whatever its case.
func (m Model) service(name string) (Service, bool) {
	for _, s := range m.Services {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return Service{}, false
}

// scale is a table of points over a quantity: between its rows it runs straight, over the logarithm when log is set. Rows ascend in both columns.
type scale struct {
	log  bool
	rows [][2]float64
}

// at is the points for a value; 0 below the first row, those of the last row above it.
func (s scale) at(v float64) float64 {
	if !(v > 0) || v < s.rows[0][0] {
		return 0
	}
	for i := len(s.rows) - 1; i >= 0; i-- {
		if v < s.rows[i][0] {
			continue
		}
		if i == len(s.rows)-1 {
			return s.rows[i][1]
		}
		a, b := s.rows[i], s.rows[i+1]
		if s.log {
			return a[1] + (b[1]-a[1])*math.Log(v/a[0])/math.Log(b[0]/a[0])
		}
		return a[1] + (b[1]-a[1])*(v-a[0])/(b[0]-a[0])
	}
	return 0
}

// The tables. Where a public threshold exists it stands at 60 points or a little below: Delegated Regulation (EU) 2024/1772, Article 9, calls
// 10 % of clients or of transactions, 100,000 clients, 30 % of counterparts, 2 h of downtime and EUR 100,000 material.
var (
	byShare     = scale{true, [][2]float64{{0.1, 10}, {1, 35}, {10, 60}, {30, 80}, {60, 95}, {100, 100}}}
	byUsers     = scale{true, [][2]float64{{1, 5}, {100, 20}, {1e3, 35}, {1e4, 48}, {1e5, 60}, {1e6, 82}, {1e7, 100}}}
	byPartners  = scale{true, [][2]float64{{1, 15}, {10, 40}, {30, 60}, {100, 100}}}
	byMoney     = scale{true, [][2]float64{{1e3, 10}, {1e4, 30}, {1e5, 52}, {1e6, 68}, {1e7, 82}, {1e8, 94}, {1e9, 100}}}
	byHeldShare = scale{true, [][2]float64{{0.1, 25}, {1, 50}, {5, 75}, {10, 85}, {25, 94}, {50, 100}}}
	byLoss      = scale{true, [][2]float64{{10, 12}, {100, 28}, {1e3, 48}, {1e4, 68}, {1e5, 88}, {1e6, 100}}}
	byDowntime  = scale{true, [][2]float64{{5, 20}, {30, 45}, {120, 65}, {480, 85}, {1440, 100}}}
)

// bands are the least scores of the severities, worst first.
var bands = [...]int{80, 55, 35, 15, 0}

// severityFor is the severity that a score stands for.
func severityFor(score int) string {
	for i, from := range bands {
		if score >= from {
			return severityOf(i + 1)
		}
	}
	return "SEV5"
}

// Bands says from which score on a severity begins, as a sentence.
func Bands() string {
	return fmt.Sprintf("SEV1 from %d, SEV2 from %d, SEV3 from %d, SEV4 from %d.", bands[0], bands[1], bands[2], bands[3])
}
