package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/views"
)

// topicChains carries chain cards and samples. It is not driven by the log: its
// seq is the time of the change on this replica in unix ms, which never falls
// here and says nothing elsewhere (live_since.go).
const topicChains = "chains"

// live renders the regions of watched topics when something changed, once for
// all who watch, and hands the bytes to the hub.
type live struct {
	s *Server

	mu       sync.Mutex                            // guards what follows
	dirty    map[string]bool                       // chains that changed; bounded by the number of chains
	all      bool                                  // chains were added or removed
	chainsAt int64                                 // seq of the last frame of topic chains
	points   map[string]map[string]*metrics.Series // chart -> line -> points not yet published; bounded by flushEvery
	wake     chan struct{}                         // capacity 1

	// owned by render
	shown     map[string]map[string][32]byte // topic -> key -> digest of what was last published
	entries   map[string]int64               // topic -> offset of the newest entry published
	incidents map[string]int64               // chain -> the incident that its card shows, or would
}

func newLive(s *Server) *live {
	return &live{s: s, dirty: map[string]bool{}, points: map[string]map[string]*metrics.Series{}, wake: make(chan struct{}, 1),
		shown: map[string]map[string][32]byte{}, entries: map[string]int64{}}
}

// How often pages are given what changes faster than people read.
const (
	cardsEvery = 250 * time.Millisecond
	flushEvery = 500 * time.Millisecond
)

// message is the wire form of a region frame; see docs/operations.md.
type message struct {
	Topic   string `json:"topic"`
	Seq     *int64 `json:"seq,omitempty"`  // absent: shows no position
	From    string `json:"from,omitempty"` // who counts Seq, when it is not the log
	At      int64  `json:"at"`
	Key     string `json:"key"`
	HTML    string `json:"html,omitempty"`
	Into    string `json:"into,omitempty"`
	Place   string `json:"place,omitempty"`
	Samples any    `json:"samples,omitempty"`
}

type region struct {
	key, into, place string
	body             templ.Component
}

func (l *live) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	changes := make(chan map[string]int64) // no buffer: the world merges what is not taken yet
	g.Go(func() error {
		for {
			c, err := l.s.World.Changes(ctx)
			if err != nil {
				return nil
			}
			select {
			case changes <- c:
			case <-ctx.Done():
				return nil
			}
		}
	})
	comings := make(chan []string)
	g.Go(func() error { return l.comings(ctx, comings) })
	g.Go(func() error {
		defer l.s.people.census(nil)
		house := time.NewTicker(l.s.houseEvery)
		defer house.Stop()
		tick := time.NewTicker(15 * time.Second)
		defer tick.Stop()
		flush := time.NewTicker(flushEvery)
		defer flush.Stop()
		var drawn time.Time
		later := time.NewTimer(time.Hour)
		defer later.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case c := <-changes:
				l.render(ctx, c)
				l.renderChains(ctx, true)
			case <-l.wake:
				// The first change is shown at once, a burst four times a second.
				if wait := cardsEvery - time.Since(drawn); wait > 0 {
					later.Reset(wait)
					continue
				}
				drawn = time.Now()
				l.renderChains(ctx, false)
			case <-later.C:
				drawn = time.Now()
				l.renderChains(ctx, false)
			case <-flush.C:
				l.flushSamples()
			case topics := <-comings:
				l.house(ctx, topics)
			case <-house.C:
				l.s.people.census(l.s.Hub)
				l.house(ctx, nil)
			case <-tick.C:
				l.forget()
				l.overdue(ctx)
			}
		}
	})
	return g.Wait()
}

// ChainChanged says that the view of a chain differs; "" says that chains were
// added or removed. It never blocks.
func (s *Server) ChainChanged(id string) {
	l := s.live
	l.mu.Lock()
	if id == "" {
		l.all = true
	} else {
		l.dirty[id] = true
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// BaseOf tells the hub the position of a topic's last change. It takes only
// leaf locks.
func (s *Server) BaseOf(topic string) int64 {
	if topic == topicChains {
		s.live.mu.Lock()
		defer s.live.mu.Unlock()
		return s.live.chainsAt
	}
	if strings.HasPrefix(topic, projection.TopicStatus) {
		topic = projection.TopicStatus
	}
	if topic == topicQueue {
		topic = projection.TopicBoard
	}
	return s.World.ChangedAt(topic)
}

func (l *live) render(ctx context.Context, changed map[string]int64) {
	topics := slices.Sorted(maps.Keys(changed))
	if _, ok := changed[projection.TopicStatus]; ok {
		for _, a := range l.s.Audiences {
			topics = append(topics, projection.TopicStatus+"/"+a)
		}
	}
	if _, ok := changed[projection.TopicBoard]; ok {
		topics = append(topics, topicQueue)
	}
	for _, t := range topics {
		if !l.s.Hub.Watched(t) {
			delete(l.shown, t)
			delete(l.entries, t)
			continue
		}
		l.renderTopic(ctx, t, false)
	}
}

// renderTopic publishes what changed of a topic that the log drives.
func (l *live) renderTopic(ctx context.Context, topic string, transient bool) {
	position, regions := l.look(ctx, topic)
	l.publish(ctx, topic, position, regions, transient)
}

// look takes what a topic shows, and the position at which it does.
func (l *live) look(ctx context.Context, topic string) (position int64, regions []region) {
	n, isRoom := room.Number(topic)
	if !isRoom {
		l.s.World.Look(func(v projection.View) { position, regions = v.Position(), l.regions(topic, v) })
		return position, regions
	}
	err := l.s.World.LookInto(ctx, n, func(v projection.View, st incident.State) {
		position, regions = v.Position(), l.roomRegions(topic, st)
	})
	if err != nil && !errors.Is(err, projection.ErrUnknown) && ctx.Err() == nil {
		l.s.Logger.Error("read an incident for its room", "topic", topic, "err", err)
	}
	return position, regions
}

// publish renders regions and hands those to the hub whose bytes differ from
// what was published last.
func (l *live) publish(ctx context.Context, topic string, seq int64, regions []region, transient bool) {
	shown := l.shown[topic]
	if shown == nil {
		shown = map[string][32]byte{}
		l.shown[topic] = shown
	}
	now := l.s.now()
	var frames []hub.Frame
	for _, r := range regions {
		html, err := renderHTML(ctx, r.body)
		if err != nil {
			l.s.Logger.Error("render region", "topic", topic, "region", r.key, "err", err)
			continue
		}
		digest := sha256.Sum256([]byte(html))
		if shown[r.key] == digest {
			continue
		}
		shown[r.key] = digest
		body, err := frameBody(l.message(topic, seq, now, message{Key: r.key, HTML: html, Into: r.into, Place: r.place}))
		if err != nil {
			l.s.Logger.Error("encode region", "topic", topic, "region", r.key, "err", err)
			continue
		}
		l.s.tally.rendered(r.key, len(body))
		frames = append(frames, hub.Frame{Topic: topic, Seq: max(seq, -1), Key: r.key, Body: body, Transient: transient})
	}
	if len(frames) > 0 {
		l.s.Hub.Publish(frames...)
	}
}

// message fills in what every frame of a topic carries.
func (l *live) message(topic string, seq, at int64, m message) message {
	m.Topic, m.At = topic, at
	if seq != unnumbered {
		m.Seq = &seq
	}
	if topic == topicChains {
		m.From = l.s.instance
	}
	return m
}

// frameBody is the JSON of a frame. It is never put into a page as it is, so <,
// > and & stay what they are: a quarter less to send.
func frameBody(m message) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func renderHTML(ctx context.Context, c templ.Component) (string, error) {
	var b bytes.Buffer
	if err := c.Render(ctx, &b); err != nil {
		return "", err
	}
	return b.String(), nil
}

// regions lists what a topic shows that is not an incident's. Nothing in it may
// depend on a viewer.
func (l *live) regions(topic string, v projection.View) []region {
	s := l.s
	switch {
	case topic == projection.TopicBoard:
		return []region{
			{key: views.RegionBoardSetup, body: views.SetupRegion(s.presentSetup(v))},
			{key: views.RegionBoardIncidents, body: views.BoardIncidentsRegion(s.presentBoardIncidents(v))},
			{key: views.RegionBoardSignals, body: views.BoardSignalsRegion(s.presentBoardSignals(v))},
			{key: views.RegionBoardRecent, body: views.RecentRegion(s.presentRecent(v))},
			{key: views.RegionQueues, body: views.QueuesRegion(s.presentQueues(openIncidents(v)))},
		}
	case topic == projection.TopicWall:
		return []region{
			{key: views.RegionWallIncident, body: views.WallIncidentRegion(s.presentWallIncident(v))},
			{key: views.RegionWallOthers, body: views.WallOthersRegion(s.presentWallOthers(v))},
			{key: views.RegionWallSummary, body: views.WallSummaryRegion(s.presentWallSummary(v))},
		}
	case topic == topicQueue:
		return []region{{key: views.RegionQueue, body: views.QueueRegion(s.presentQueue(v))}}
	case topic == projection.TopicSignals:
		return []region{{key: views.RegionSignals, body: views.SignalsRegion(views.SignalList{Show: "open", Signals: s.signalList(v, "open", listedSignals)})}}
	case topic == projection.TopicStatus:
		return []region{{key: views.RegionStatus, body: views.StatusRegion(s.presentStatus(v, ""))}}
	case strings.HasPrefix(topic, projection.TopicStatus+"/"):
		return []region{{key: views.RegionStatus, body: views.StatusRegion(s.presentStatus(v, strings.TrimPrefix(topic, projection.TopicStatus+"/")))}}
	}
	return nil
}

func (l *live) roomRegions(topic string, st incident.State) []region {
	s := l.s
	out := []region{
		{key: views.RegionStrip, body: views.StripRegion(s.presentStrip(st))},
		{key: views.RegionFacts, body: views.FactsRegion(s.presentFacts(st))},
		{key: views.RegionWaiting, body: views.WaitingRegion(s.presentWaiting(st))},
		{key: views.RegionImpact, body: views.ImpactRegion(s.presentImpact(st, false))},
		{key: views.RegionImpactWhole, body: views.ImpactWholeRegion(s.presentImpact(st, true))},
		{key: views.RegionPaging, body: views.PagingRegion(s.presentPaging(st))},
		{key: views.RegionRoomSignals, body: views.RoomSignalsRegion(s.presentRoomSignals(st))},
		{key: views.RegionTasks, body: views.TasksRegion(s.presentTasks(st))},
		{key: views.RegionRoles, body: views.RolesRegion(s.presentRoles(st))},
		{key: views.RegionLinks, body: views.LinksRegion(s.presentLinks(st))},
		{key: views.RegionAddresses, body: views.AddressesRegion(s.presentAddresses(st))},
		{key: views.RegionPrecedent, body: views.PrecedentRegion(s.presentPrecedent(st))},
		{key: views.RegionComms, body: views.CommsRegion(s.presentComms(st))},
		{key: views.RegionCharts, body: views.ChartsRegion(views.Charts{Charts: s.incidentCharts(st)})},
	}
	newest, known := l.entries[topic]
	again, fresh, news := !known, newest, 0
	for _, e := range st.Timeline.Newest() {
		if known && e.Offset <= newest || news == shownEntries && !known {
			break
		}
		if e.Type == eventRedacted || e.Type == "incident.signal_detached" {
			again = true // older entries may look different now
		}
		fresh = max(fresh, e.Offset)
		news++
	}
	l.entries[topic] = fresh
	recent := st.Timeline.Last(max(shownEntries, news))
	if again {
		// Pages may show older entries, and the hub may keep frames of them: what
		// was blanked leaves both.
		for i := range st.Timeline.Len() - len(recent) {
			if e := st.Timeline.At(i); e.Redacted != nil {
				out = append(out, region{key: views.RegionEntry(e.Offset), into: views.RegionTimeline, place: "there", body: views.EntryRegion(s.presentEntry(st, e))})
			}
		}
	}
	for _, e := range recent {
		if again || e.Offset > newest {
			out = append(out, region{key: views.RegionEntry(e.Offset), into: views.RegionTimeline, place: "end", body: views.EntryRegion(s.presentEntry(st, e))})
		}
	}
	return out
}

const eventRedacted = "log.redacted"

// overdue renders again what changes by the clock alone: what waits, who is on call, the walls' clocks, and how much longer is likely.
func (l *live) overdue(ctx context.Context) {
	for _, t := range l.s.Hub.Open() {
		if _, ok := room.Number(t); ok || t == projection.TopicWall || t == projection.TopicBoard || t == topicQueue {
			l.renderTopic(ctx, t, true)
		}
	}
}

// renderChains publishes the cards of chains that changed; check says that the
// log did, of which cards show only the worst open incident of their chain.
func (l *live) renderChains(ctx context.Context, check bool) {
	l.mu.Lock()
	dirty, all := l.dirty, l.all
	l.dirty, l.all = map[string]bool{}, false
	l.mu.Unlock()
	if len(dirty) == 0 && !all && !check {
		return
	}
	incidents := l.s.incidentOfChain()
	moved := !maps.Equal(incidents, l.incidents)
	l.incidents = incidents
	if len(dirty) == 0 && !all && !moved {
		return // not even counted: a page that is on its way would load anew for nothing
	}
	l.count() // visible to BaseOf before Watched is asked
	if !l.s.Hub.Watched(topicChains) {
		delete(l.shown, topicChains)
		return
	}
	model := l.s.chainCards(incidents)
	var regions []region
	if all {
		regions = append(regions, region{key: views.RegionChains, body: views.ChainsRegion(model)})
	}
	for _, c := range model.Chains {
		if all || moved || dirty[c.ID] {
			regions = append(regions, region{key: views.RegionChain(c.ID), body: views.ChainRegion(c)})
		}
	}
	// What was drawn is newer than the count before: a page that came meanwhile took that for its base, and would be spared a frame that bears it.
	l.publish(ctx, topicChains, l.count(), regions, false)
}

// count is the seq of the next change of topic chains.
func (l *live) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chainsAt = max(l.chainsAt+1, l.s.now())
	return l.chainsAt
}

// flushSamples publishes the points that came since the last time, one frame a chart.
func (l *live) flushSamples() {
	l.mu.Lock()
	points := l.points
	l.points = map[string]map[string]*metrics.Series{}
	l.mu.Unlock()
	now := l.s.now()
	for chart, lines := range points {
		var found []metrics.Series
		for _, name := range sortedKeys(lines) {
			found = append(found, *lines[name])
		}
		body, err := frameBody(l.message(topicChains, now, now, message{Key: views.SampleKey(chart), Samples: newChartDoc(chartKind{}, found)}))
		if err != nil {
			l.s.Logger.Error("encode samples", "chart", chart, "err", err)
			continue
		}
		l.s.tally.rendered(views.SampleKey(chart), len(body))
		l.s.Hub.Publish(hub.Frame{Topic: topicChains, Seq: now, Key: views.SampleKey(chart), Body: body, Transient: true})
	}
}
