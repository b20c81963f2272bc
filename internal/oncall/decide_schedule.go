package oncall

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func (d *deciding) scheduleOf(id string) (Schedule, *time.Location, error) {
	s, ok := d.s.Schedule(id)
	if !ok {
		return s, nil, refuse(CodeNotFound, "There is no schedule %s. Reload the list of schedules.", short(id))
	}
	zone, err := d.zone(s.Zone)
	return s, zone, err
}

func (d *deciding) scheduleName(id, name string) (string, error) {
	name, err := named("the schedule", name)
	if err == nil && slices.ContainsFunc(d.s.Schedules, func(s Schedule) bool { return s.ID != id && strings.EqualFold(s.Name, name) }) {
		err = refuse(CodeNameTaken, "Another schedule has the name %s already. Choose another one.", name)
	}
	return name, err
}

// layers checks all layers of a schedule against those that stood there, and gives new ones an id.
func (d *deciding) layers(list, was []Layer, zone *time.Location, moved bool) ([]Layer, error) {
	if len(list) > MaxLayers {
		return nil, refuse(CodeTooMany, "A schedule has at most %d layers.", MaxLayers)
	}
	out := slices.Clone(list)
	last := 0
	for _, l := range append(slices.Clone(was), list...) {
		if n, err := strconv.Atoi(strings.TrimPrefix(l.ID, "L")); err == nil {
			last = max(last, n)
		}
	}
	for i, l := range out {
		old, stood := find(was, func(x Layer) bool { return x.ID == l.ID })
		switch {
		case l.ID == "":
			last++
			l.ID = "L" + itoa(last)
		case !stood:
			return nil, refuse(CodeNotFound, "The schedule has no layer %s. Leave the id of a new layer out.", short(l.ID))
		case slices.ContainsFunc(out[:i], func(x Layer) bool { return x.ID == l.ID }):
			return nil, refuse(CodeBadArgument, "Layer %s is there twice.", l.ID)
		}
		var err error
		if out[i], err = d.layer(l, old, zone, moved); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *deciding) createSchedule(c CreateSchedule) error {
	if len(d.s.Schedules) >= MaxSchedules {
		return refuse(CodeTooMany, "There are %d schedules already. Remove one first.", MaxSchedules)
	}
	s := Schedule{ID: d.id("sched-"), Zone: c.Zone}
	var err error
	if s.Name, err = d.scheduleName("", c.Title); err != nil {
		return err
	}
	zone, err := d.zone(c.Zone)
	if err != nil {
		return err
	}
	layers := slices.Clone(c.Layers)
	for i := range layers {
		layers[i].ID = ""
	}
	if s.Layers, err = d.layers(layers, nil, zone, true); err != nil {
		return err
	}
	d.body.Schedules = []Diff[Schedule]{{After: &s}}
	d.did(scheduleCreated, "created schedule %s in %s", s.Name, s.Zone)
	return nil
}

// schedule records a changed schedule; overrides stay out of it.
func (d *deciding) schedule(was, s Schedule, format string, args ...any) {
	was.Overrides, s.Overrides = nil, nil
	if !equal(was, s) {
		d.body.Schedules = []Diff[Schedule]{{&was, &s}}
		d.did(scheduleChanged, format, args...)
	}
}

func (d *deciding) editSchedule(c EditSchedule) error {
	was, zone, err := d.scheduleOf(c.Schedule)
	if zone == nil && c.Zone == nil {
		return err
	}
	s := was
	if c.Title != nil {
		if s.Name, err = d.scheduleName(s.ID, *c.Title); err != nil {
			return err
		}
	}
	if c.Zone != nil {
		if zone, err = d.zone(*c.Zone); err != nil {
			return err
		}
		s.Zone = *c.Zone
	}
	if c.Layers != nil {
		s.Layers = *c.Layers
	}
	if s.Layers, err = d.layers(s.Layers, was.Layers, zone, s.Zone != was.Zone); err != nil {
		return err
	}
	d.schedule(was, s, "changed schedule %s", was.Name)
	return nil
}

func (d *deciding) removeSchedule(c RemoveSchedule) error {
	s, ok := d.s.Schedule(c.Schedule)
	if !ok {
		return refuse(CodeNotFound, "There is no schedule %s. Reload the list of schedules.", short(c.Schedule))
	}
	if err := unused("schedule", s.Name, d.s.usesSchedule(s.ID)); err != nil {
		return err
	}
	for _, o := range s.Overrides {
		d.body.Overrides = append(d.body.Overrides, Diff[Placed]{Before: &Placed{s.ID, o}})
	}
	s.Overrides = nil
	d.body.Schedules = []Diff[Schedule]{{Before: &s}}
	d.did(scheduleRemoved, "removed schedule %s", s.Name)
	return nil
}

// relayer changes the layers of a schedule.
func (d *deciding) relayer(id, says string, change func([]Layer) ([]Layer, error)) error {
	was, zone, err := d.scheduleOf(id)
	if err != nil {
		return err
	}
	s := was
	if s.Layers, err = change(slices.Clone(was.Layers)); err != nil {
		return err
	}
	if s.Layers, err = d.layers(s.Layers, was.Layers, zone, false); err != nil {
		return err
	}
	d.schedule(was, s, says, was.Name)
	return nil
}

func (d *deciding) addLayer(c AddLayer) error {
	c.Layer.ID = ""
	return d.relayer(c.Schedule, "added a layer to schedule %s", func(l []Layer) ([]Layer, error) { return append(l, c.Layer), nil })
}

func indexLayer(l []Layer, id string) (int, error) {
	i := slices.IndexFunc(l, func(x Layer) bool { return x.ID == id })
	if i < 0 || id == "" {
		return 0, refuse(CodeNotFound, "The schedule has no layer %s. Reload it.", short(id))
	}
	return i, nil
}

func (d *deciding) editLayer(c EditLayer) error {
	return d.relayer(c.Schedule, "changed a layer of schedule %s", func(l []Layer) ([]Layer, error) {
		i, err := indexLayer(l, c.Layer.ID)
		if err == nil {
			l[i] = c.Layer
		}
		return l, err
	})
}

func (d *deciding) moveLayer(c MoveLayer) error {
	return d.relayer(c.Schedule, "moved a layer of schedule %s", func(l []Layer) ([]Layer, error) {
		i, err := indexLayer(l, c.Layer)
		to := i - 1
		if c.Up {
			to = i + 1
		}
		if err == nil && to >= 0 && to < len(l) {
			l[i], l[to] = l[to], l[i]
		}
		return l, err
	})
}

func (d *deciding) removeLayer(c RemoveLayer) error {
	return d.relayer(c.Schedule, "removed a layer of schedule %s", func(l []Layer) ([]Layer, error) {
		i, err := indexLayer(l, c.Layer)
		if err == nil {
			l = slices.Delete(l, i, i+1)
		}
		return l, err
	})
}

// addOverrides adds overrides; those over for a month make room when there are too many.
func (d *deciding) addOverrides(id string, list []AddOverride) error {
	s, zone, err := d.scheduleOf(id)
	if err != nil {
		return err
	}
	if len(list) == 0 || len(list) > MaxImport {
		return refuse(CodeTooMany, "Between 1 and %d overrides are added at once.", MaxImport)
	}
	room := MaxOverrides - len(s.Overrides) - len(list)
	for _, o := range s.Overrides {
		if room < 0 && o.Until < d.m.At-30*day {
			d.body.Overrides = append(d.body.Overrides, Diff[Placed]{Before: &Placed{id, o}})
			room++
		}
	}
	if room < 0 {
		return refuse(CodeTooMany, "Schedule %s has %d overrides. Remove some first, or change its layers.", s.Name, len(s.Overrides))
	}
	for i, c := range list {
		o, err := d.override(c, zone)
		if err != nil {
			return err
		}
		o.Order = (d.s.Seq+1)*1000 + int64(i)
		d.body.Overrides = append(d.body.Overrides, Diff[Placed]{After: &Placed{id, o}})
		for _, x := range s.Overrides {
			if x.From < o.Until && o.From < x.Until && x.Person != o.Person && len(d.body.Notes) < 20 {
				d.body.Notes = append(d.body.Notes, "It overlaps the override for "+someone(x.Person)+" until "+said(x.Until, zone)+"; the newer one wins.")
			}
		}
		if len(list) == 1 {
			d.did(overrideAdded, "put %s on call in %s from %s until %s", someone(o.Person), s.Name, said(o.From, zone), said(o.Until, zone))
		}
	}
	if len(list) > 1 {
		d.did(overrideAdded, "added %d overrides to schedule %s", len(list), s.Name)
	}
	return nil
}

func someone(handle string) string {
	if handle == "" {
		return "nobody"
	}
	return handle
}

func (d *deciding) override(c AddOverride, zone *time.Location) (Override, error) {
	o := Override{ID: d.id("ov-"), Person: c.Person, By: d.by()}
	if !d.m.Manage && !d.is(c.Person) {
		return o, refuse(CodeNotYours, "You may put yourself on call. For somebody else, ask an administrator, or offer a swap.")
	}
	if c.Person != "" {
		if err := d.person(c.Person); err != nil {
			return o, err
		}
	}
	var err error
	if o.Note, err = line("The note", c.Note, maxNote); err != nil {
		return o, err
	}
	for _, t := range []struct {
		text string
		to   *int64
	}{{c.From, &o.From}, {c.Until, &o.Until}} {
		at, says, err := Moment(t.text, zone)
		if err != nil {
			return o, err
		}
		if *t.to = at; says != "" {
			d.body.Notes = append(d.body.Notes, says)
		}
	}
	switch {
	case o.Until <= o.From:
		return o, refuse(CodeBadTime, "The override ends before it begins.")
	case o.Until-o.From > mostOverride:
		return o, refuse(CodeBadTime, "An override lasts at most a year. For longer, change the layers.")
	case o.Until <= d.m.At:
		return o, refuse(CodeOver, "The override lies in the past: it would change nothing but the record.")
	}
	return o, nil
}

func (d *deciding) removeOverride(c RemoveOverride) error {
	s, zone, err := d.scheduleOf(c.Schedule)
	if err != nil {
		return err
	}
	o, ok := find(s.Overrides, func(o Override) bool { return o.ID == c.Override })
	switch {
	case !ok:
		return refuse(CodeNotFound, "There is no such override any more. Reload the schedule.")
	case !d.m.Manage && (!d.is(o.By) || !d.is(o.Person)):
		return refuse(CodeNotYours, "You may remove overrides that you set for yourself. For others, ask an administrator.")
	}
	d.body.Overrides = []Diff[Placed]{{Before: &Placed{s.ID, o}}}
	d.did(overrideRemoved, "removed the override for %s in %s until %s", someone(o.Person), s.Name, said(o.Until, zone))
	return nil
}
