package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// manualSettings is the file with on-call settings in the operator's manual.
func manualSettings(t *testing.T) settingsFile {
	t.Helper()
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), ". On-call\n\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if n := strings.Count(section, "```yaml\n"); n != 1 {
		t.Fatalf("%d files in the section on on-call", n)
	}
	_, text, _ := strings.Cut(section, "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	f, err := parseSettings("operations.md", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return f
}

// given notes each key of a file that says something.
func given(v reflect.Value, keys map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			given(v.Elem(), keys)
		}
	case reflect.Slice:
		for i := range v.Len() {
			given(v.Index(i), keys)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Name() + "." + v.Type().Field(i).Name; !v.Field(i).IsZero() {
				keys[name] = true
			}
			given(v.Field(i), keys)
		}
	}
}

// keysOf lists every key that a file can have.
func keysOf(typ reflect.Type, keys map[string]bool) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		keysOf(typ.Elem(), keys)
	case reflect.Struct:
		for i := range typ.NumField() {
			keys[typ.Name()+"."+typ.Field(i).Name] = true
			keysOf(typ.Field(i).Type, keys)
		}
	}
}

// TestManualShowsEveryKey: the file in the operator's manual says something under every key that there is.
func TestManualShowsEveryKey(t *testing.T) {
	all, has := map[string]bool{}, map[string]bool{}
	keysOf(reflect.TypeFor[settingsFile](), all)
	given(reflect.ValueOf(manualSettings(t)), has)
	if len(all) < 35 {
		t.Fatalf("only %d keys: %v", len(all), all)
	}
	for key := range all {
		if !has[key] {
			t.Errorf("the file in section 24 of docs/operations.md does not show %s", key)
		}
	}
}

// TestManualApplies: the file in the operator's manual is taken by the rules that judge every change, and changes nothing when it is applied again.
func TestManualApplies(t *testing.T) {
	f := manualSettings(t)
	world := oncall.World{
		Zone: time.LoadLocation,
		Person: func(handle string) (string, bool) {
			return handle, slices.Contains([]string{"ana", "ben", "chris"}, handle)
		},
		Role: func(name string) bool { return slices.Contains(incident.Roles(), incident.Role(name)) },
	}
	var s oncall.State
	given := 0
	for _, want := range []string{"created", "unchanged"} {
		var told []string
		a := &applying{now: s.Settings, tell: func(what, name, done string) {
			told = append(told, what+" "+name+" "+done)
			if done != want && (what != "rules" || done != "changed" || want != "created") {
				t.Errorf("%s %s is %s, want %s", what, name, done, want)
			}
		}, again: func() (oncall.Settings, error) { return s.Settings, nil }}
		a.do = func(c oncall.Command) error {
			given++
			m := oncall.Meta{ID: fmt.Sprint("cmd-", given), At: 1_795_000_000_000, Actor: "person:ana", Manage: true}
			b, err := oncall.Decide(&s, c, world, m)
			if err != nil || b == nil {
				return err
			}
			s.Apply(oncall.Event{ID: m.ID, Seq: int64(given), At: m.At, Actor: m.Actor, Body: *b})
			return nil
		}
		if err := a.apply(f); err != nil {
			t.Fatal(err)
		}
		if len(told) != len(f.Teams)+len(f.Schedules)+len(f.Policies)+1 {
			t.Errorf("%v", told)
		}
	}
	if steps := s.Policies[0].Steps; len(steps) != 3 || steps[2].Need != 2 || steps[2].If.Hours == nil || !steps[2].If.Hours.Not {
		t.Errorf("%+v", steps)
	}
}
