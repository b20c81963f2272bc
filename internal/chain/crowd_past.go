package chain

import (
	"math"
	"slices"
)

const (
	crowdGap     = 300000   // ms without a word on who the peers are after which what was followed begins anew
	crowdLost    = 900000   // ms after which nothing is said of them any more
	settleFor    = 600000   // ms after a start, a failure or a change of program in which peers come and go by themselves
	pastBucket   = 21600000 // ms of one entry of a node's own history
	pastKept     = 28       // entries: seven days
	pastLeast    = 4        // entries before anything is judged: a day
	pastTold     = 20       // looks that make an entry, ...
	pastRolls    = 8        // ... and times that the peers were compared
	rollFor      = 900000   // ms between two lists of peers that later ones are held against; against the older one, of 15 to 30 min
	stillFor     = 180000   // ms since a peer was last seen in which it is not gone: servers behind one address take turns
	learnLeast   = 4        // peers from which a share says anything
	rollLeast    = 6        // peers that a list must have
	programShown = 40       // bytes
)

// crowdWatch is what a Monitor remembers of one node's peers.
type crowdWatch struct {
	Last    *Crowd `json:"last,omitempty"`
	At      int64  `json:"at,omitempty"`      // when Last was told
	Calm    int64  `json:"calm,omitempty"`    // since when nothing disturbed it
	Program string `json:"program,omitempty"` // the node's, without its version
	In      usual  `json:"in,omitzero"`       // share of the largest group of the incoming peers (of all, where directions are not told)
	Out     usual  `json:"out,omitzero"`      // share of the two largest groups of the outgoing peers
	Gone    usual  `json:"gone,omitzero"`     // share of the outgoing peers that went within 15 to 30 min
	Prev    *roll  `json:"prev,omitempty"`
	Cur     *roll  `json:"cur,omitempty"`
	Swap    *swap  `json:"swap,omitempty"`
}

// usual is a node's own history of a share: of every six hours what it hardly exceeded.
type usual struct {
	By      string    `json:"by,omitempty"`   // how peers are told apart; another way begins anew
	Past    []float64 `json:"past,omitempty"` // oldest first
	From    int64     `json:"from,omitempty"` // when the entry that is made began
	N       int64     `json:"n,omitempty"`
	Sum     float64   `json:"sum,omitempty"`
	Squares float64   `json:"squares,omitempty"`
	Most    float64   `json:"most,omitempty"`
}

// learn takes a share. An entry is mean and two standard deviations, so that a moment does not count for a week; with peak it is the greatest.
func (u *usual) learn(at int64, v float64, peak bool) {
	if u.From == 0 {
		u.From = at
	}
	if at-u.From >= pastBucket {
		least := int64(pastTold)
		if peak {
			least = pastRolls
		}
		if u.N >= least {
			entry := u.Most
			if mean := u.Sum / float64(u.N); !peak {
				entry = min(mean+2*math.Sqrt(max(u.Squares/float64(u.N)-mean*mean, 0)), 1)
			}
			u.Past = append(u.Past, math.Round(entry*1000)/1000)
			u.Past = slices.Clone(u.Past[max(len(u.Past)-pastKept, 0):])
		}
		u.From, u.N, u.Sum, u.Squares, u.Most = at, 0, 0, 0, 0
	}
	u.N++
	u.Sum, u.Squares, u.Most = u.Sum+v, u.Squares+v*v, max(u.Most, v)
}

// known tells what is usual, once there is a day of it.
func (u usual) known() (float64, bool) {
	if len(u.Past) < pastLeast {
		return 1, false
	}
	return slices.Max(u.Past), true
}

// roll is a list of peers and when each was seen last.
type roll struct {
	At   int64    `json:"at"`
	IDs  []uint32 `json:"ids"`  // ascending
	Seen []int64  `json:"seen"` // ms after At
}

func newRoll(at int64, ids []uint32) *roll {
	return &roll{At: at, IDs: slices.Clone(ids), Seen: make([]int64, len(ids))}
}

// see notes which of its peers are there, and counts those that are not in it.
func (r *roll) see(at int64, ids []uint32) (fresh int) {
	for _, id := range ids {
		if i, ok := slices.BinarySearch(r.IDs, id); ok && i < len(r.Seen) {
			r.Seen[i] = at - r.At
		} else {
			fresh++
		}
	}
	return fresh
}

// gone counts its peers that were not there lately.
func (r *roll) gone(at int64) (n int) {
	for _, s := range r.Seen {
		if at-r.At-s > stillFor {
			n++
		}
	}
	return n
}

// swap is that nearly all peers were replaced.
type swap struct {
	At     int64 `json:"at"`
	Within int64 `json:"within"` // ms
	Gone   int   `json:"gone"`
	Of     int   `json:"of"`
	New    int   `json:"new"`
	Now    int   `json:"now"`
}

// disturb begins anew what is followed peer by peer, and lets the node settle: it failed, was started, or was not heard.
func (w *crowdWatch) disturb(at int64) {
	w.Calm, w.Prev, w.Cur = at, nil, nil
}

func (w *crowdWatch) settled(at int64) bool { return w.Last != nil && at-w.Calm >= settleFor }

// follow holds a list of peers against those of before. The node's own replacements are learned when a list has served.
func (w *crowdWatch) follow(at int64, ids []uint32) {
	low := len(ids) == 0 // none, or too many to be followed
	for _, r := range []*roll{w.Prev, w.Cur} {
		low = low || r != nil && len(ids)*2 < len(r.IDs) // its network was away: whoever comes back may be anybody
	}
	if low {
		w.Prev, w.Cur = nil, nil
		if len(ids) == 0 {
			return
		}
	}
	fresh := 0
	if w.Prev != nil {
		fresh = w.Prev.see(at, ids)
	}
	if w.Cur != nil {
		w.Cur.see(at, ids)
	}
	if p := w.Prev; p != nil && len(p.IDs) >= rollLeast && len(ids) >= rollLeast && w.Swap == nil {
		gone := p.gone(at)
		if share := float64(gone) / float64(len(p.IDs)); share >= swapShare && float64(fresh) >= swapShare*float64(len(ids)) {
			if most, ok := w.Gone.known(); ok && share >= most+farAbove {
				w.Swap = &swap{At: at, Within: at - p.At, Gone: gone, Of: len(p.IDs), New: fresh, Now: len(ids)}
			}
		}
	}
	if w.Cur == nil {
		w.Cur = newRoll(at, ids)
	} else if at-w.Cur.At >= rollFor {
		if p := w.Prev; p != nil && len(p.IDs) >= learnLeast {
			w.Gone.learn(at, float64(p.gone(at))/float64(len(p.IDs)), true)
		}
		w.Prev, w.Cur = w.Cur, newRoll(at, ids)
	}
}
