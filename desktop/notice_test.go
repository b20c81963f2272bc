package main

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/desktop/native"
	"github.com/tocsin-ops/tocsin/internal/attention"
)

func TestUrgencyFollowsSeverity(t *testing.T) {
	for _, c := range []struct {
		notice  attention.Notice
		urgency native.Urgency
		buttons int
	}{
		{attention.Notice{Severity: "SEV1"}, native.Critical, 1},
		{attention.Notice{Severity: "SEV2"}, native.Normal, 1},
		{attention.Notice{Severity: "SEV3"}, native.Normal, 1},
		{attention.Notice{Severity: "SEV5"}, native.Low, 1},
		{attention.Notice{Severity: "SEV4", Ack: 7}, native.Critical, 2}, // somebody asks this person to come
	} {
		if n := noteOf(c.notice); n.Urgency != c.urgency || len(n.Actions) != c.buttons || n.Actions[0].ID != open {
			t.Errorf("%+v: %+v", c.notice, n)
		}
	}
}

func TestNoticeboardForgetsTheOldest(t *testing.T) {
	var b noticeboard
	for i := range 2 * mostNotices {
		b.put(attention.Notice{Key: fmt.Sprint(i), Path: "/"})
		b.put(attention.Notice{Key: "again", Path: "/again"})
	}
	if len(b.shown) != mostNotices || len(b.order) != mostNotices || b.get("again").Path != "/again" || b.get("0").Path != "" {
		t.Errorf("%d and %d notices", len(b.shown), len(b.order))
	}
	b.drop("again")
	b.drop("again")
	if b.get("again").Path != "" || len(b.order) != mostNotices-1 {
		t.Error("it was taken back")
	}
}
