//go:build desktop && !linux

package main

import (
	"context"
	"sync"

	"github.com/wailsapp/wails/v2/pkg/runtime"

	"github.com/tocsin-ops/tocsin/desktop/native"
	"github.com/tocsin-ops/tocsin/internal/attention"
)

// notes are the notices on the screen, by the system's own notification centre, and the display that is kept awake.
type notes struct {
	s      *shell
	known  noticeboard
	wake   native.Awake
	once   sync.Once
	silent bool // the system shows none, and the log knows
}

func newNotes(s *shell) *notes { return &notes{s: s} }

const (
	plain = "tocsin-notice"
	paged = "tocsin-page"
)

func (n *notes) begin(ctx context.Context) {
	err := runtime.InitializeNotifications(ctx)
	if err == nil {
		_, err = runtime.RequestNotificationAuthorization(ctx)
	}
	for _, c := range []runtime.NotificationCategory{
		{ID: plain, Actions: []runtime.NotificationAction{{ID: open, Title: "Open"}}},
		{ID: paged, Actions: []runtime.NotificationAction{{ID: open, Title: "Open"}, {ID: acknowledge, Title: "Acknowledge"}}},
	} {
		if err == nil {
			err = runtime.RegisterNotificationCategory(ctx, c)
		}
	}
	if err != nil {
		n.silent = true
		n.s.log.Info("this computer shows no notifications: only sound and the window's title", "err", err)
		return
	}
	runtime.OnNotificationResponse(ctx, func(r runtime.NotificationResult) {
		if r.Error == nil {
			go n.s.answer(n.known.get(r.Response.ID), r.Response.ActionIdentifier, "")
		}
	})
}

func (n *notes) run(ctx context.Context) error {
	<-ctx.Done()
	return n.wake.Set(false)
}

func (n *notes) show(a attention.Notice) {
	n.known.put(a)
	n.s.then(func(ctx context.Context) {
		go func() {
			n.once.Do(func() { n.begin(ctx) })
			if n.silent {
				return
			}
			category := plain
			if a.Ack != 0 {
				category = paged
			}
			err := runtime.SendNotificationWithActions(ctx, runtime.NotificationOptions{ID: a.Key, Title: a.Title, Body: a.Body, CategoryID: category})
			if err != nil {
				n.s.log.Warn("show a notification", "err", err)
			}
		}()
	})
}

func (n *notes) withdraw(key string) {
	n.known.drop(key)
	n.s.then(func(ctx context.Context) {
		go func() {
			if err := runtime.RemoveDeliveredNotification(ctx, key); err != nil {
				n.s.log.Debug("take a notification back", "err", err)
			}
		}()
	})
}

func (n *notes) badge(int, bool) {} // the title says it

func (n *notes) awake(on bool) {
	if err := n.wake.Set(on); err != nil {
		n.s.log.Warn("keep the display awake", "err", err)
	}
}
