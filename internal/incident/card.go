package incident

import "slices"

// Card is what stays at hand of every incident there ever was: what lists,
// status pages and statistics show. It is not a State: nothing can be applied
// to it or decided on it, and whoever needs more reads the stream. Its size
// does not grow with the timeline.
type Card struct {
	Number     int64    `json:"number"`
	ID         string   `json:"id,omitempty"`
	Declared   bool     `json:"declared,omitempty"`
	Drill      bool     `json:"drill,omitempty"`
	Title      string   `json:"title,omitempty"`
	Severity   Severity `json:"severity,omitempty"`
	Status     Status   `json:"status,omitempty"`
	Components []string `json:"components,omitempty"`
	Chains     []string `json:"chains,omitempty"`

	ImpactBeganAt int64 `json:"impact_began_at,omitempty"`
	DetectedAt    int64 `json:"detected_at,omitempty"`
	DeclaredAt    int64 `json:"declared_at,omitempty"`
	ResolvedAt    int64 `json:"resolved_at,omitempty"`
	ReviewedAt    int64 `json:"reviewed_at,omitempty"`

	Category      string     `json:"category,omitempty"`
	Scored        bool       `json:"scored,omitempty"`          // an assessment says how bad it is
	Score         int        `json:"score,omitempty"`           // 0 to 100
	LossKnown     bool       `json:"loss_known,omitempty"`      // what a minute costs is known, or assumed
	LossPerMinute float64    `json:"loss_per_minute,omitempty"` // US dollars
	Team          string     `json:"team,omitempty"`            // id of the one that has it
	TeamName      string     `json:"team_name,omitempty"`
	Tier          int        `json:"tier,omitempty"`
	Skill         string     `json:"skill,omitempty"`
	TeamSince     int64      `json:"team_since,omitempty"`
	ClaimedBy     string     `json:"claimed_by,omitempty"` // handle
	Paging        CardPaging `json:"paging,omitzero"`

	Commander   string   `json:"commander,omitempty"`    // handle of the first who holds the role
	OpenSignals int      `json:"open_signals,omitempty"` // attached and not cleared
	NextDue     int64    `json:"next_due,omitempty"`     // when the first audience hears next; 0: nothing is promised
	Updates     []Update `json:"updates,omitempty"`      // the published ones, in the order of their drafts
	Last        *Entry   `json:"last,omitempty"`         // newest of the timeline, nil when it is empty
	MergedInto  int64    `json:"merged_into,omitempty"`

	Position int64 `json:"position"`
	LastAt   int64 `json:"last_at,omitempty"`
}

// Open is what Open says of the incident.
func (c Card) Open() bool { return open(c.Declared, c.MergedInto, c.Status) }

// Card is the state as a card. It shares no memory that either may change.
func (s State) Card() Card {
	c := Card{
		Number: s.Number, ID: s.ID, Declared: s.Declared, Drill: s.Drill, Title: s.Title, Severity: s.Severity, Status: s.Status,
		Components: s.Components, Chains: s.Chains, ImpactBeganAt: s.ImpactBeganAt, DetectedAt: s.DetectedAt, DeclaredAt: s.DeclaredAt,
		ResolvedAt: s.ResolvedAt, ReviewedAt: s.ReviewedAt, Commander: s.Commander(), MergedInto: s.MergedInto, Position: s.Position, LastAt: s.LastAt,
	}
	c.Category, c.Scored, c.Score, c.LossKnown, c.LossPerMinute = s.Category, s.Impact.Known, s.Impact.Score, s.Impact.Loss.Known, s.Impact.Loss.PerMinute
	c.Team, c.TeamName, c.Tier, c.Skill, c.TeamSince, c.ClaimedBy = s.Triage.Team, s.Triage.Name, s.Triage.Tier, s.Triage.Skill, s.Triage.Since, s.Triage.ClaimedBy
	c.Paging = s.cardPaging()
	for _, g := range s.Signals {
		if g.State != SignalCleared {
			c.OpenSignals++
		}
	}
	for _, a := range s.Audiences {
		if d := NextUpdateDue(s, a.Name); d != 0 && (c.NextDue == 0 || d < c.NextDue) {
			c.NextDue = d
		}
	}
	for _, u := range s.Updates {
		if u.State == UpdateIsPublished {
			u.textFrom = 0 // for Apply, which no card meets
			c.Updates = append(c.Updates, u)
		}
	}
	if last := s.Timeline.Last(1); len(last) == 1 {
		c.Last = &last[0]
	}
	return c
}

// Told counts what status pages show of an incident. Published updates stay
// published and change only by being blanked, so equal counts mean equal pages.
type Told struct{ Published, Blanked int }

// Told is what status pages show of the incident.
func (s State) Told() (n Told) {
	for _, u := range s.Updates {
		if u.State == UpdateIsPublished {
			n.Published++
			if u.Redacted {
				n.Blanked++
			}
		}
	}
	return n
}

// Sketch is a state without its timeline, on the way to a Card: much is folded
// that way in a short time. Only what Card and Told need can be had from it.
type Sketch struct{ state State }

// NewSketch is the sketch before the first event of incident number.
func NewSketch(number int64) Sketch { return Sketch{New(number, "")} }

// Apply is Apply without the timeline, of which the newest entry stays.
func (k Sketch) Apply(e Event) Sketch {
	k.state = Apply(k.state, e)
	if n := len(k.state.Timeline.tail); n > 1 {
		k.state.Timeline.tail = slices.Clone(k.state.Timeline.tail[n-1:])
	}
	return k
}

// Card is the card of the state that it is a sketch of.
func (k Sketch) Card() Card { return k.state.Card() }

// Told is what status pages show of the incident.
func (k Sketch) Told() Told { return k.state.Told() }

// Signals are those attached now. Readers must not change the slice.
func (k Sketch) Signals() []Signal { return k.state.Signals }

// Declared is false while nothing has happened yet.
func (k Sketch) Declared() bool { return k.state.Declared }
