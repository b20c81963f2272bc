package heartbeat_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
)

// at is a time of 20 November 2026, in ms.
func at(clock string) int64 {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-11-20 "+clock)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

func TestJudge(t *testing.T) {
	pace := heartbeat.Pace{Every: 60_000, Grace: 30_000}
	ok := func(clock string) heartbeat.Beat { return heartbeat.Beat{At: at(clock)} }
	for name, tt := range map[string]struct {
		last       heartbeat.Beat
		since, now string
		want       string
	}{
		"never heard":               {heartbeat.Beat{}, "14:00:00", "23:00:00", "new: Nothing was ever heard; it is missed from the first beat on."},
		"just heard":                {ok("14:02:00"), "13:00:00", "14:02:30", "alive: Heard at 14:02:00 UTC, expected every 60 s."},
		"on the dot":                {ok("14:02:00"), "13:00:00", "14:03:00", "alive: Heard at 14:02:00 UTC, expected every 60 s."},
		"late":                      {ok("14:02:00"), "13:00:00", "14:03:01", "late: Nothing since 14:02:00 UTC, expected every 60 s; a signal is raised at 14:03:30 UTC."},
		"dead":                      {ok("14:02:00"), "13:00:00", "14:03:31", "dead: Nothing since 14:02:00 UTC, expected every 60 s."},
		"we were away for an hour":  {ok("13:02:00"), "14:00:00", "14:00:30", "waiting: Last heard at 13:02:00 UTC; Tocsin did not listen since, so the wait began anew at 14:00:00 UTC."},
		"and it still says nothing": {ok("13:02:00"), "14:00:00", "14:01:31", "dead: Nothing since 13:02:00 UTC, expected every 60 s."},
		"late after we were away":   {ok("13:02:00"), "14:00:00", "14:01:10", "late: Nothing since 13:02:00 UTC, expected every 60 s; a signal is raised at 14:01:30 UTC."},
		"a restart between beats":   {ok("14:02:00"), "14:02:20", "14:02:50", "alive: Heard at 14:02:00 UTC, expected every 60 s."},
		"it fails":                  {heartbeat.Beat{At: at("14:02:00"), Failing: true, Reason: "disk full"}, "13:00:00", "14:03:10", "failing: disk full"},
		"it fails, then is silent":  {heartbeat.Beat{At: at("14:02:00"), Failing: true, Reason: "disk full"}, "13:00:00", "14:10:00", "dead: Nothing since 14:02:00 UTC, expected every 60 s."},
		"it fails and says not why": {heartbeat.Beat{At: at("14:02:00"), Failing: true}, "13:00:00", "14:02:01", "failing: It says that it is failing."},
		"a clock that was set back": {ok("14:02:00"), "13:00:00", "14:00:00", "alive: Heard at 14:02:00 UTC, expected every 60 s."},
	} {
		v := heartbeat.Judge(pace, tt.last, at(tt.since), at(tt.now))
		if got := fmt.Sprintf("%s: %s", v.State, v.Reason); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
	for ms, want := range map[int64]string{1000: "1 s", 60_000: "60 s", 90_000: "90 s", 120_000: "2 min", 3600_000: "1 h", 7200_000: "2 h", 86_400_000: "1 d", 1500: "1.5 s"} {
		if got := heartbeat.Span(ms); got != want {
			t.Errorf("Span(%d) = %s, want %s", ms, got, want)
		}
	}
}

// Nobody is missed for time in which we did not listen; whoever was heard within the interval is alive; between two looks the verdict changes only at Next.
func TestJudgeHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := heartbeat.Pace{Every: rapid.Int64Range(heartbeat.MinEvery, 10_000_000).Draw(t, "every"), Grace: rapid.Int64Range(heartbeat.MinGrace, 10_000_000).Draw(t, "grace")}
		last := heartbeat.Beat{At: rapid.Int64Range(0, 100_000_000).Draw(t, "last"), Failing: rapid.Bool().Draw(t, "failing")}
		since, now := rapid.Int64Range(0, 100_000_000).Draw(t, "since"), rapid.Int64Range(0, 200_000_000).Draw(t, "now")
		v := heartbeat.Judge(p, last, since, now)
		if v.State == heartbeat.Dead && (now-since <= p.Every+p.Grace || now-last.At <= p.Every+p.Grace || last.At == 0) {
			t.Fatalf("dead too early: %+v", v)
		}
		if v.State != heartbeat.Dead && last.At != 0 && now-max(since, last.At) > p.Every+p.Grace {
			t.Fatalf("forgotten: %+v", v)
		}
		if v.Next != 0 && now < v.Next {
			if w := heartbeat.Judge(p, last, since, now+(v.Next-1-now)/2); w.State != v.State && !(v.State == heartbeat.Alive && w.State == heartbeat.Waiting) {
				t.Fatalf("%s became %s before %d", v.State, w.State, v.Next)
			}
		}
	})
}
