package main

import "strings"

// stroke is a key of the keyboard with what is held down beside it.
type stroke struct {
	Control, Alt, Shift bool
	Key                 string // "p", "+", "f11", "left": always small
}

// strokeOf reads "CmdOrCtrl+Shift+P"; false for what is none.
func strokeOf(s string) (k stroke, ok bool) {
	words := strings.Split(strings.ToLower(s), "+")
	for _, held := range words[:len(words)-1] {
		switch held {
		case "cmdorctrl", "ctrl", "control", "cmd":
			k.Control = true
		case "alt", "optionoralt", "option":
			k.Alt = true
		case "shift":
			k.Shift = true
		default:
			return stroke{}, false
		}
	}
	k.Key = words[len(words)-1]
	if k.Key == "plus" {
		k.Key = "+"
	}
	return k, k.Key != ""
}
