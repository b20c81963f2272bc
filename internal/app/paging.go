package app

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/notify/send"
	"github.com/tocsin-ops/tocsin/internal/pager"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/roster"
	"github.com/tocsin-ops/tocsin/internal/watchdog"
)

// leadPager is the election of the replica that sees to the pages.
const leadPager = "pager"

// stuckAfter is how long something may stand still before the heartbeat to others is held back.
const stuckAfter = time.Minute

// unheardAfter is how long a page may be open before any route says what became of it.
const unheardAfter = 3 * time.Minute

// unansweredAfter is how long nobody may have answered something grave before others are to hear of it.
const unansweredAfter = 5 * time.Minute

// paging is who is on call, who sees to it that they are paged, who sends the pages, and who tells others that all this works.
type paging struct {
	app    *App
	roster *roster.Service
	office *notify.Office
	links  *pager.Links
	pager  *pager.Pager
	dog    *watchdog.Watchdog
}

// newPaging composes what pages people; it runs with the App.
func newPaging(ctx context.Context, a *App) (*paging, error) {
	c, p := a.opt.Config, &paging{app: a}
	p.roster = roster.New(roster.Options{Log: a.log, People: a.auth.People, Path: filepath.Join(c.Data, SnapshotDir, "oncall"), Logger: a.component("on-call")})
	keys, err := notify.LoadPushKeys(ctx, a.db)
	if err != nil {
		return nil, err
	}
	senders, off := send.New(c.Notify, a.URL(), keys)
	if a.opt.Demo {
		senders, off = nil, map[string]string{}
		for _, kind := range notify.Kinds {
			off[kind] = "This is a demo: nothing leaves it."
		}
	}
	p.office = notify.New(notify.Options{
		DB: a.db, Senders: senders, Off: off, PushKey: keys.Public, Base: a.URL, Logger: a.component("notify"), Clock: a.millis,
		Rights:   p.rights,
		Receipts: func(ctx context.Context, list []notify.Receipt) error { return p.pager.Receipts(ctx, list) },
	})
	p.links = pager.NewLinks(a.db, a.millis)
	p.pager = pager.New(pager.Options{
		Log: a.log, Room: pagerRoom{a}, OnCall: p.roster, Courier: p.office, DB: a.db, Links: p.links, Open: a.openIncidents,
		URL: a.URL, Clock: a.opt.Clock, Logger: a.component("pager"),
	})
	var beats []watchdog.Beat
	for _, h := range c.Watchdog {
		beats = append(beats, watchdog.Beat{Name: h.Name, URL: h.URL.Reveal(), Method: h.Verb(), Every: h.Every()})
	}
	p.dog = watchdog.New(watchdog.Options{Beats: beats, Checks: p.checks(), Logger: a.component("watchdog")})
	return p, nil
}

// rights are what somebody may now: routes and messages of before may still be there.
func (p *paging) rights(person string) notify.Rights {
	who, _ := p.app.auth.Directory().Person(person)
	here := who.Standing == auth.Joined
	return notify.Rights{
		Here: here, Since: who.JoinedAt, Admin: here && who.Role == auth.RoleAdministrator,
		Paged: here && (who.Role == auth.RoleAdministrator || who.Role == auth.RoleResponder),
	}
}

// checks are what must hold for others to hear from us.
func (p *paging) checks() []watchdog.Check {
	a := p.app
	return []watchdog.Check{
		watchdog.Writable(a.db, cmp.Or(a.id, "this"), a.millis),
		watchdog.Keeping("pages", "The pages do not follow the log", a.log.Size, func() int64 { return a.world.Position() + 1 }, stuckAfter, a.millis),
		{Name: "courier", Ask: func(context.Context) string {
			if f := p.pager.Figures(); time.Duration(f.Unheard)*time.Millisecond > unheardAfter {
				return "A page is not sent: for " + (time.Duration(f.Unheard) * time.Millisecond).Round(time.Second).String() + " no route has said anything of it."
			}
			return ""
		}},
		{Name: "answered", Ask: func(context.Context) (why string) { // asked of what is folded here: every replica holds its heartbeat, whoever leads
			a.world.Look(func(v projection.View) { why = unanswered(v.Open(), a.millis()) })
			return why
		}},
		watchdog.Recent("pager", "Nobody sees to it that people are paged", func(ctx context.Context) (int64, error) { return pager.LastLed(ctx, a.db) }, stuckAfter, a.millis),
	}
}

// unanswered says which incident nobody answers for too long, the one that waits longest, or "".
func unanswered(open []incident.State, now int64) string {
	var worst incident.State
	var since int64
	for _, st := range open {
		if at, ok := st.Unanswered(now); ok && (since == 0 || at < since) {
			worst, since = st, at
		}
	}
	if since == 0 || time.Duration(now-since)*time.Millisecond <= unansweredAfter {
		return ""
	}
	return fmt.Sprintf("Nobody answers: incident #%d is %s, everybody was paged, and nobody has had it, or done anything in its room, since %s.", worst.Number, worst.Severity, time.UnixMilli(since).UTC().Format("15:04 UTC on 2 January"))
}

// run takes part in the election of who sees to the pages.
func (p *paging) run(ctx context.Context) error {
	return p.app.elected(ctx, leadPager, "the pages are not this replica's", p.pager.Run)
}

// openIncidents are the incidents that were open as of an offset, and the one after it.
func (a *App) openIncidents() (numbers []int64, next int64) {
	a.world.Look(func(v projection.View) {
		next = v.Position() + 1
		for _, st := range v.Open() {
			numbers = append(numbers, st.Number)
		}
	})
	return numbers, next
}

// pagerRoom lets the pager into the rooms.
type pagerRoom struct{ app *App }

// Load implements pager.Room.
func (r pagerRoom) Load(ctx context.Context, number int64) (incident.State, error) {
	return r.app.rooms.Load(ctx, number)
}

// Do implements pager.Room.
func (r pagerRoom) Do(ctx context.Context, number int64, c incident.Command, m incident.Meta) error {
	if _, err := r.app.rooms.Do(ctx, number, c, m); err != nil {
		return fmt.Errorf("%s: %w", c.Name(), err)
	}
	return nil
}
