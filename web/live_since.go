package web

import (
	"context"
	"strconv"

	"github.com/tocsin-ops/tocsin/hub"
)

// How a page moves from one replica to another.
//
// Topics that the log drives (board, wall, signals, status, incident/N) count
// with offsets of the log, which are the same everywhere: a page that holds m is
// a page that holds m on every replica. This replica may not be there yet. Then
// the socket is not opened until it is, or is refused after catchUp, so that no
// page is LIVE on a replica that knows less than the page. Only a position
// that the log does not have (a log restored from an older copy) is answered
// with a resync. While nothing can be written waiting would be in vain: the
// socket opens and the page says READ-ONLY instead of LIVE.
//
// A frame may still be older than the page: what was rendered here before the
// page was loaded elsewhere, and comes as transient. So pages drop a frame of
// the log whose seq is below what they hold, and ask for pages with the position
// that they have seen (Tocsin-Position), so that loading anew never goes back.
//
// Topic chains counts for itself on every replica, by the clock of that replica,
// and clocks differ. Its since means something only together with the name of
// who counted (from). To any other replica the page says instead how long ago it
// was last known to be whole (ago, a length of time by the page's own clock, so
// that no two clocks are ever compared); it is given whatever changed here since
// then and a doubt longer, or a resync when that is no longer kept. The doubt
// covers the time that views of chains take from one replica to another.
const doubt = 5000 // ms

// sinceHere is where a page stands in this replica's count of a topic that
// counts for itself; -1 when that cannot be said.
func (s *Server) sinceHere(since int64, from, ago string) int64 {
	top := max(s.BaseOf(topicChains), s.now())
	if from == "" || from == s.instance {
		if since > top {
			return -1 // never counted here
		}
		return since
	}
	n, err := strconv.ParseInt(ago, 10, 64)
	if since < 0 || err != nil || n < 0 || n > s.now() {
		return -1
	}
	return max(-1, s.now()-n-doubt)
}

// level makes sure that this replica shows what the page holds already. It
// changes a since that no replica can reach to "nothing".
func (s *Server) level(ctx context.Context, topics []hub.TopicSince) error {
	want := int64(-1)
	for _, t := range topics {
		if t.Topic != topicChains {
			want = max(want, t.Since)
		}
	}
	if want <= s.World.Position() || s.Health().ReadOnly {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	if s.World.WaitFor(ctx, want) == nil {
		return nil
	}
	if want < s.Log.Size() {
		return refusal("behind", "This replica does not show yet what the page shows. Try again in a moment.")
	}
	for i := range topics {
		if topics[i].Topic != topicChains && topics[i].Since > s.World.Position() {
			topics[i].Since = -1
		}
	}
	return nil
}
