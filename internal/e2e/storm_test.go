package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestStorm: 10,000 alerts of 50 groups in ten seconds, and kill -9 in the middle. There are at most 50 incidents, each signal says why it is where it
// is; who is paged gets few bundles, not thousands of messages; the room stays live; nothing that was taken is lost, no page is sent twice or forgotten.
func TestStorm(t *testing.T) {
	s := start(t, "")
	ana := s.enter("ana", "Ana Ruiz")
	phone := newInbox(t)
	ana.reads(phone)
	_, path, _ := s.source("Alertmanager", "alertmanager")
	room := s.declare("Before the storm", "SEV5", nil)
	inRoom := fmt.Sprintf("incident/%d", room)
	viewers := watch(t, &cluster{t: t, replicas: [3]*tocsin{s, s, s}}, 10, "board", inRoom)

	const groups, turns, each = 50, 10, 20
	const total = groups * turns * each
	var taken, again atomic.Int64
	var senders sync.WaitGroup
	quarter, half, reached := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var atQuarter, atHalf sync.Once
	began := time.Now()
	for g := range groups {
		senders.Go(func() {
			for turn := range turns {
				if ahead := time.Duration(turn)*time.Second + time.Duration(g)*20*time.Millisecond - time.Since(began); ahead > 0 {
					time.Sleep(ahead) // the storm's own pace
				}
				if turn == turns-1 { // is not over before it was looked at, however late this machine comes to it
					select {
					case <-reached:
					case <-time.After(2 * patience):
					}
				}
				var list []map[string]any
				for i := range each {
					name := fmt.Sprintf("%02d-%d-%02d", g, turn, i)
					list = append(list, alert("Storm"+name, name, map[string]any{"component": fmt.Sprintf("part-%02d", g), "instance": name}))
				}
				body := mustJSON(t, webhook(fmt.Sprintf("group %d", g), "firing", list...))
				for { // as Alertmanager does: again until it is taken
					code, _, err := s.try("POST", path, nil, body)
					if err == nil && code == 202 {
						break
					}
					again.Add(1)
					time.Sleep(200 * time.Millisecond)
				}
				n := taken.Add(each)
				if n >= total/4 {
					atQuarter.Do(func() { close(quarter) })
				}
				if n >= total/2 {
					atHalf.Do(func() { close(half) })
				}
			}
		})
	}
	<-quarter
	viewers.reach(t, inRoom, s.note(room, "Withdrawals are paused.").Position)
	viewers.reach(t, "board", s.incident(s.declare("In the middle of the storm", "SEV5", nil)).Position-1)
	if n := taken.Load(); n >= total {
		t.Errorf("a note reached who stands in its room only when all %d alerts were taken", n)
	} else {
		t.Logf("a note and a new incident were with everybody who watches when %d of %d alerts were taken", n, total)
	}
	close(reached)
	<-half
	s.restart() // kill -9
	senders.Wait()
	stormed := time.Since(began)
	t.Logf("%d alerts of %d groups taken in %s, %d deliveries had to be sent again around the kill", taken.Load(), groups, stormed.Round(time.Millisecond), again.Load())

	// Every alert is a signal, once, and has an incident.
	opened := map[string]string{}  // signal of each key
	var attached map[string]string // signal: why
	until(t, "every alert has an incident", 2*patience, func() (bool, string) {
		clear(opened)
		attached = map[string]string{}
		for _, e := range s.events() {
			switch e.Type {
			case "signal.opened":
				var b struct{ Signal, Key string }
				must(t, json.Unmarshal(e.Data, &b))
				if was, twice := opened[b.Key]; twice {
					t.Fatalf("the alert %s is signal %s and %s", b.Key, was, b.Signal)
				}
				opened[b.Key] = b.Signal
			case "incident.signals_attached":
				var b struct {
					Signals []struct{ Signal, Correlation string }
				}
				must(t, json.Unmarshal(e.Data, &b))
				for _, g := range b.Signals {
					attached[g.Signal] = g.Correlation
				}
			}
		}
		return len(opened) == total && len(attached) == total, fmt.Sprintf("%d signals, %d attached", len(opened), len(attached))
	})
	for id, why := range attached {
		if why == "" {
			t.Fatalf("nobody says why signal %s is where it is", id)
		}
	}
	incidents := s.incidents()
	if len(incidents) > groups+2 || len(incidents) <= 2 { // two were declared by hand
		t.Errorf("%d incidents of %d groups", len(incidents), groups)
	}

	// Each page reaches the phone once, in few bundles.
	var paged []string
	var bundles map[string]bool
	until(t, "every page arrives", 2*patience, func() (bool, string) {
		letters := phone.pages() // first: what arrived is in the log before
		paged = nil
		for _, e := range s.events() {
			if e.Type != "incident.paged" {
				continue
			}
			var b struct {
				People []struct{ Page string }
			}
			must(t, json.Unmarshal(e.Data, &b))
			for _, p := range b.People {
				paged = append(paged, p.Page)
			}
		}
		got := map[string]map[string]bool{} // page: deliveries
		bundles = map[string]bool{}
		for _, l := range letters {
			if got[l.ID] == nil {
				got[l.ID] = map[string]bool{}
			}
			got[l.ID][l.Delivery] = true
			bundles[l.Delivery] = true
		}
		for id, in := range got {
			if len(in) > 1 {
				t.Fatalf("page %s was sent %d times, under different ids", id, len(in))
			}
			if !slices.Contains(paged, id) {
				t.Fatalf("page %s was sent and is nowhere in the log", id)
			}
		}
		return len(got) == len(paged), fmt.Sprintf("%d of %d", len(got), len(paged))
	})
	if len(paged) < len(incidents)-2 || len(bundles) > 20 {
		t.Errorf("%d pages about %d incidents in %d bundles", len(paged), len(incidents), len(bundles))
	}
	first := phone.pages()[0]
	t.Logf("%d incidents, %d pages in %d deliveries to one person, the first %s after the first alert", len(incidents), len(paged), len(bundles), first.At.Sub(began).Round(time.Millisecond))

	// The room was live, and is.
	worst, moves, resyncs := viewers.darkness()
	t.Logf("ten viewers of the board: %d moves, %d resyncs, longest without word %s", moves, resyncs, worst[len(worst)-1].Round(time.Millisecond))
	n := s.declare("After the storm", "SEV5", nil)
	viewers.reach(t, "board", s.incident(n).Position-1)
	viewers.close(t)
	s.mustVerify(s.dir)
}
