package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/views"
)

// Replica is one running Tocsin of those that share a store.
type Replica struct {
	ID       string `json:"id"`
	URL      string `json:"url"` // where it listens, as it knows it
	Version  string `json:"version"`
	Started  int64  `json:"started"` // unix ms
	Alive    bool   `json:"alive"`
	Gone     int64  `json:"gone,omitempty"` // unix ms when it was no more; within the last hour
	Collects bool   `json:"collects"`       // it watches the chains
	This     bool   `json:"this"`           // it gave this answer
}

// Replication is what this replica knows of the others and of the store.
type Replication struct {
	Shared   bool      // there may be others
	Replicas []Replica // this one included, by id
	// What follows is told for a shared store only.
	Leads    map[string]bool // by election: whether this replica leads it
	Untold   int64           // samples that the others were not told, over all time
	Outages  int64           // of the store, over all time
	Held     time.Duration   // how long it was read-only, over all time
	Answered time.Time       // when the store was last asked with success; zero = never
	Calls    []StoreCalls
	Bounds   []float64 // of StoreCalls.Counts, seconds
}

// StoreCalls is how long one kind of call to the store took. Counts has one more
// than there are bounds, for those above all of them.
type StoreCalls struct {
	Kind   string
	Counts []int64
	Sum    float64 // seconds
}

type replicasAnswer struct {
	Replicas []Replica `json:"replicas"`
}

func (s *Server) apiReplicas(c *call) error {
	list := s.Replication().Replicas
	if list == nil {
		list = []Replica{}
	}
	return c.JSON(http.StatusOK, replicasAnswer{list})
}

// replicaRows are what the Log page shows; none while there is nobody else.
func (s *Server) replicaRows() (rows []views.ReplicaRow, mixed bool) {
	r := s.Replication()
	if !r.Shared && len(r.Replicas) < 2 {
		return nil, false
	}
	var versions []string
	for _, one := range r.Replicas {
		rows = append(rows, views.ReplicaRow{ID: one.ID, Version: one.Version, Started: one.Started, Gone: one.Gone, Collects: one.Collects, This: one.This})
		if one.Alive && !slices.Contains(versions, one.Version) {
			versions = append(versions, one.Version)
		}
	}
	return rows, len(versions) > 1
}

// replicaMetrics are the figures of replicas and of their store.
func (s *Server) replicaMetrics(b *strings.Builder, metric func(name, kind, help string, value any)) {
	r := s.Replication()
	alive, collects := 0, 0
	for _, one := range r.Replicas {
		if one.Alive {
			alive++
		}
		if one.This && one.Collects {
			collects = 1
		}
	}
	metric("tocsin_replicas", "gauge", "replicas alive, this one included", alive)
	metric("tocsin_collecting", "gauge", "1 while this replica watches the chains", collects)
	if !r.Shared {
		return
	}
	fmt.Fprint(b, "# HELP tocsin_leads 1 while this replica leads the election\n# TYPE tocsin_leads gauge\n")
	for _, name := range sortedKeys(r.Leads) {
		fmt.Fprintf(b, "tocsin_leads{election=%q} %d\n", name, map[bool]int{true: 1}[r.Leads[name]])
	}
	metric("tocsin_samples_untold_total", "counter", "samples that the other replicas were not told", r.Untold)
	metric("tocsin_store_outages_total", "counter", "times the store took no writes", r.Outages)
	metric("tocsin_store_outage_seconds_total", "counter", "time in which the store took no writes", r.Held.Seconds())
	if !r.Answered.IsZero() {
		metric("tocsin_store_answer_age_seconds", "gauge", "time since the store was last asked with success", max(time.Since(r.Answered).Seconds(), 0))
	}
	fmt.Fprint(b, "# HELP tocsin_store_call_seconds how long calls to the store took\n# TYPE tocsin_store_call_seconds histogram\n")
	for _, k := range r.Calls {
		var sum int64
		for i, n := range k.Counts {
			sum += n
			le := "+Inf"
			if i < len(r.Bounds) {
				le = fmt.Sprint(r.Bounds[i])
			}
			fmt.Fprintf(b, "tocsin_store_call_seconds_bucket{call=%q,le=%q} %d\n", k.Kind, le, sum)
		}
		fmt.Fprintf(b, "tocsin_store_call_seconds_sum{call=%q} %v\ntocsin_store_call_seconds_count{call=%q} %d\n", k.Kind, k.Sum, k.Kind, sum)
	}
}
