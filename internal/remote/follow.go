package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

// How pages are kept up to date.
const (
	followTick  = time.Second
	flushEvery  = 5 * time.Second
	listEvery   = 30 * time.Second
	tryAgainIn  = 5 * time.Minute // for a page that the room did not give
	fetchIn     = 10 * time.Second
	dialAgain   = time.Second
	dialSlowest = 5 * time.Second
	quietFor    = 8 * time.Second // a socket that says nothing for longer is dead; the room says something every 2 s
	mostMessage = 4 << 20
)

// always are the pages that are kept whatever happens.
var always = []string{"/", "/wall", "/incidents"}

// follower keeps pages as the room shows them.
type follower struct {
	r       *Room
	rooms   []string             // pages of the open incidents, newest first
	listed  time.Time            // when rooms was asked for
	moved   bool                 // the board says that rooms may differ
	refused map[string]time.Time // page -> not to be asked for before
	flushed time.Time

	socket *listener
	next   time.Time // not to be dialled before
	wait   time.Duration
}

// listener is an open socket.
type listener struct {
	topics []string
	gen    uint64 // of the session that it was opened with
	began  time.Time
	end    context.CancelFunc
	done   chan struct{} // closed when it has ended
	lists  chan struct{} // capacity 1: the board has changed
}

func (r *Room) follow(ctx context.Context) {
	f := &follower{r: r, refused: map[string]time.Time{}, wait: dialAgain}
	defer func() {
		f.hang()
		f.flush()
	}()
	tick := time.NewTicker(followTick)
	defer tick.Stop()
	for {
		f.round(ctx)
		var done, lists <-chan struct{}
		if f.socket != nil {
			done, lists = f.socket.done, f.socket.lists
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.stir:
		case <-lists:
			f.moved = true
		case <-done:
			if r.o.Clock().Sub(f.socket.began) > 2*dialSlowest {
				f.wait = dialAgain
			}
			f.socket = nil
			f.next = r.o.Clock().Add(f.wait*3/4 + rand.N(f.wait/2))
			f.wait = min(2*f.wait, dialSlowest)
			poke(r.kick) // why did it end?
		}
	}
}

func (f *follower) flush() {
	if err := f.r.kept.flush(); err != nil {
		f.r.log.Warn("the kept pages could not be written", "err", err)
	}
	f.flushed = f.r.o.Clock()
}

// hang ends the socket and waits until it has.
func (f *follower) hang() {
	if f.socket == nil {
		return
	}
	f.socket.end()
	<-f.socket.done
	f.socket = nil
}

// round does whatever is due. While the room is away the socket is left alone: what it still holds is news.
func (f *follower) round(ctx context.Context) {
	r, now := f.r, f.r.o.Clock()
	if now.Sub(f.flushed) >= flushEvery || r.state.away() {
		f.flush()
	}
	reach := r.state.reach()
	if !r.jar.has() || !reach.SignedIn {
		f.hang()
		f.listed = time.Time{}
		return
	}
	if !reach.Up {
		f.listed = time.Time{}
		return
	}
	if age := now.Sub(f.listed); age >= listEvery || f.moved && age >= followTick {
		f.listed, f.moved = now, false
		if rooms, ok := f.list(ctx); ok {
			f.rooms = rooms
		}
	}
	r.kept.stand(always, f.rooms)
	for _, path := range r.kept.due(slices.Concat(always, f.rooms), now.UnixMilli()) {
		if r.state.away() || ctx.Err() != nil {
			return
		}
		if now.Before(f.refused[path]) {
			continue
		}
		f.fetch(ctx, path)
	}
	for _, path := range r.kept.missing() {
		if r.state.away() || ctx.Err() != nil {
			return
		}
		if !now.Before(f.refused[path]) {
			f.fetchAsset(ctx, path)
		}
	}
	f.listen(ctx)
}

// get asks as the person signed in, with the session alone: what the room tells a page once is not taken from it.
func (r *Room) get(ctx context.Context, path, accept string, position int64) (*http.Response, uint64, error) {
	cookie, gen := r.jar.header("/", sessionCookie)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.o.Base.Scheme+"://"+r.o.Base.Host+path, nil)
	if err != nil {
		return nil, gen, err
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept", accept)
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	if position >= 0 {
		req.Header.Set("Tocsin-Position", strconv.FormatInt(position, 10))
	}
	res, err := carry{r}.RoundTrip(req)
	return res, gen, err
}

// list asks for the open incidents.
func (f *follower) list(ctx context.Context) (rooms []string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, fetchIn)
	defer cancel()
	res, gen, err := f.r.get(ctx, pathOpen, "application/json", -1)
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusUnauthorized && problem(res) {
		f.r.refused(gen)
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, mostPage))
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, false
	}
	f.r.state.heard()
	return parseOpen(body), true
}

// parseOpen takes any bytes: the pages of the newest open incidents.
func parseOpen(body []byte) []string {
	var answer struct {
		Incidents []struct {
			Number int64 `json:"number"`
		} `json:"incidents"`
	}
	_ = json.Unmarshal(body, &answer) // what is not there is not there
	var numbers []int64
	for _, i := range answer.Incidents {
		if i.Number > 0 {
			numbers = append(numbers, i.Number)
		}
	}
	slices.SortFunc(numbers, func(a, b int64) int { return int(max(-1, min(1, b-a))) })
	numbers = slices.Compact(numbers)
	rooms := make([]string, 0, mostIncidents)
	for _, n := range numbers[:min(len(numbers), mostIncidents)] {
		rooms = append(rooms, "/incidents/"+strconv.FormatInt(n, 10))
	}
	return rooms
}

// fetch keeps one page anew.
func (f *follower) fetch(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(ctx, fetchIn)
	defer cancel()
	r := f.r
	began := r.o.Clock()
	res, gen, err := r.get(ctx, path, "text/html", r.kept.newest())
	if err != nil {
		return
	}
	defer res.Body.Close()
	later := began.Add(tryAgainIn)
	switch {
	case res.StatusCode == http.StatusOK && media(res) == "text/html":
		body, err := io.ReadAll(io.LimitReader(res.Body, mostPage+1))
		if err != nil || r.jar.session() != gen {
			return
		}
		r.state.heard()
		took, err := r.kept.store(path, body, began.UnixMilli(), false)
		if err != nil {
			r.log.Warn("a page could not be kept", "err", err)
		}
		if took {
			delete(f.refused, path)
			return
		}
		f.refused[path] = later
		r.kept.gone(path)
	case signInAsked(res):
		poke(r.doubt)
		f.refused[path] = later
	case res.StatusCode < 500:
		f.refused[path] = later
		r.kept.gone(path)
	}
	if len(f.refused) > mostPages+mostFiles {
		clear(f.refused)
	}
}

func (f *follower) fetchAsset(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(ctx, fetchIn)
	defer cancel()
	r := f.r
	res, _, err := r.get(ctx, path, "*/*", -1)
	if err != nil {
		return // the room has not refused it
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, mostAsset+1))
	if err != nil {
		return
	}
	f.refused[path] = r.o.Clock().Add(tryAgainIn)
	if res.StatusCode != http.StatusOK || len(body) > mostAsset {
		return
	}
	if err := r.kept.storeAsset(path, res.Header.Get("Content-Type"), res.Header.Get("Cache-Control"), body); err != nil {
		r.log.Warn("an asset could not be kept", "err", err)
		return
	}
	delete(f.refused, path)
}

// listen sees to it that the socket has the topics of the kept pages.
func (f *follower) listen(ctx context.Context) {
	topics := f.r.kept.followed()
	names := make([]string, 0, len(topics))
	for _, t := range topics {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	if f.socket != nil && f.socket.gen == f.r.jar.session() && slices.Equal(f.socket.topics, names) {
		return
	}
	if f.socket == nil && f.r.o.Clock().Before(f.next) {
		return
	}
	f.hang()
	if len(names) == 0 {
		return
	}
	ctx, end := context.WithCancel(ctx)
	s := &listener{topics: names, gen: f.r.jar.session(), began: f.r.o.Clock(), end: end, done: make(chan struct{}), lists: make(chan struct{}, 1)}
	f.socket = s
	go func() { // ends with ctx; hang waits for it
		defer close(s.done)
		defer end()
		if err := f.r.hear(ctx, topics, s.lists); err != nil && ctx.Err() == nil {
			f.r.log.Debug("the socket for kept pages ended", "err", err)
		}
	}()
}

// hear keeps what the room says of topics until the socket ends.
func (r *Room) hear(ctx context.Context, topics []topicAt, lists chan struct{}) error {
	q := url.Values{"aside": {"1"}}
	var names []string
	for _, t := range topics {
		q.Add("topic", t.Name)
		q.Add("since", strconv.FormatInt(t.Since, 10))
		names = append(names, t.Name)
	}
	scheme := "ws"
	if r.o.Base.Scheme == "https" {
		scheme = "wss"
	}
	cookie, gen := r.jar.header("/", sessionCookie)
	dialer := websocket.Dialer{Proxy: r.wire.Proxy, NetDialContext: r.wire.DialContext, TLSClientConfig: trust(r.o.Pin, r.o.Base.Hostname()), HandshakeTimeout: dialIn}
	header := http.Header{"Cookie": {cookie}, "Origin": {origin(r.o.Base)}, "User-Agent": {agent}}
	conn, res, err := dialer.DialContext(ctx, scheme+"://"+r.o.Base.Host+"/live?"+q.Encode(), header)
	if err != nil {
		switch {
		case res == nil:
		case res.StatusCode == http.StatusUnauthorized:
			poke(r.doubt)
		case res.StatusCode < 500:
			r.kept.renewAll() // one of the topics is not for us any more: its page will say so
		}
		return fmt.Errorf("open the socket for kept pages: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	r.accepted(gen)
	conn.SetReadLimit(mostMessage)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(quietFor)); err != nil {
			return err
		}
		kind, body, err := conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("read from the socket for kept pages: %w", err)
		}
		if kind != websocket.TextMessage {
			continue
		}
		if !r.hearOne(body, names, lists) {
			return nil
		}
	}
}

// hearOne takes one message, any bytes. It reports whether more are to be expected.
func (r *Room) hearOne(body []byte, names []string, lists chan struct{}) bool {
	var m message
	if json.Unmarshal(body, &m) != nil {
		return true
	}
	r.state.word()
	now := r.o.Clock().UnixMilli()
	switch m.Type {
	case "hello":
		if r.kept.built(m.Build) {
			r.kept.renewAll()
		}
	case "beat":
		r.kept.beat(names, now)
	case "resync":
		r.kept.resync(m.Topic)
		poke(lists)
	case "end":
		if m.Topic == "" {
			poke(r.doubt)
			return false
		}
		r.kept.resync(m.Topic) // its pages say what may still be seen
		poke(r.stir)
	case "bye":
		return false
	case "":
		if len(m.Samples) > 0 {
			break
		}
		r.kept.take(m.frame, now)
		if m.Key == "board-incidents" {
			poke(lists)
		}
	}
	return true
}
