package main

import "testing"

func TestStrokes(t *testing.T) {
	for s, want := range map[string]stroke{
		"CmdOrCtrl+P":       {Control: true, Key: "p"},
		"CmdOrCtrl+Shift+S": {Control: true, Shift: true, Key: "s"},
		"Ctrl+Plus":         {Control: true, Key: "+"},
		"Alt+Left":          {Alt: true, Key: "left"},
		"F11":               {Key: "f11"},
		"?":                 {Key: "?"},
	} {
		if got, ok := strokeOf(s); !ok || got != want {
			t.Errorf("%s: %+v %t, want %+v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "Ctrl+", "Hyper+X"} {
		if got, ok := strokeOf(s); ok {
			t.Errorf("%q is no key, and was read as %+v", s, got)
		}
	}
}
