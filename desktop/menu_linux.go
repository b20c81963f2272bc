//go:build desktop

package main

/*
#include <stdlib.h>
#include "gtk_linux.h"
*/
import "C"

import (
	"strings"
	"unicode"

	"github.com/tocsin-ops/tocsin/internal/desk"
)

// Wails makes a menu bar before there is a window and never changes it again (see docs/decisions/0034), so the bar is our own.

var gtkKeys = map[string]string{"+": "plus", "-": "minus", "enter": "Return", "return": "Return", "escape": "Escape", "tab": "Tab", "backspace": "BackSpace",
	"delete": "Delete", "space": "space", "left": "Left", "right": "Right", "up": "Up", "down": "Down", "home": "Home", "end": "End", "page up": "Page_Up",
	"page down": "Page_Down", ",": "comma", ".": "period", "/": "slash", "?": "question", "=": "equal", "[": "bracketleft", "]": "bracketright"}

// accelerator is what GTK calls a key; 0 for none.
func accelerator(s string) (key, mods C.uint) {
	k, ok := strokeOf(s)
	if !ok {
		return 0, 0
	}
	name, ok := gtkKeys[k.Key]
	if !ok {
		name = k.Key
		if len(name) > 1 {
			name = strings.ToUpper(name[:1]) + name[1:]
		}
	}
	with(name, func(c *C.char) { key = C.uint(C.gdk_keyval_from_name((*C.gchar)(c))) })
	if key == C.GDK_KEY_VoidSymbol {
		return 0, 0
	}
	for on, mask := range map[*bool]C.uint{&k.Control: C.GDK_CONTROL_MASK, &k.Alt: C.GDK_MOD1_MASK, &k.Shift: C.GDK_SHIFT_MASK} {
		if *on {
			mods |= mask
		}
	}
	return key, mods
}

// putMenu shows a menu bar in the place of the one before. On GTK's thread.
func putMenu(menus []desk.Menu) {
	bar := C.tocsin_menu_new()
	taken := map[rune]bool{}
	for _, m := range menus {
		fill(sub(bar, mnemonic(m.Label, taken)), m.Items)
	}
	C.tocsin_menu_put(bar)
}

func sub(shell *C.GtkWidget, label string) (menu *C.GtkWidget) {
	with(label, func(c *C.char) { menu = C.tocsin_menu_sub(shell, c) })
	return menu
}

func fill(menu *C.GtkWidget, items []desk.Item) {
	for _, i := range items {
		switch {
		case i.Separator:
			C.tocsin_menu_separator(menu)
		case len(i.Items) > 0:
			fill(sub(menu, strings.ReplaceAll(i.Label, "_", "__")), i.Items)
		default:
			checked := C.int(-1)
			if i.Checked != nil {
				checked = flag(*i.Checked)
			}
			key, mods := accelerator(i.Key)
			with(i.ID, func(id *C.char) {
				with(i.Label, func(label *C.char) {
					with(i.Page, func(hint *C.char) { C.tocsin_menu_item(menu, id, label, hint, key, mods, checked, flag(!i.Disabled)) })
				})
			})
		}
	}
}

func flag(on bool) C.int {
	if on {
		return 1
	}
	return 0
}

// mnemonic marks the first letter of a label that no other menu has, for Alt and that letter.
func mnemonic(label string, taken map[rune]bool) string {
	for i, r := range label {
		if l := unicode.ToLower(r); unicode.IsLetter(r) && !taken[l] {
			taken[l] = true
			return strings.ReplaceAll(label[:i], "_", "__") + "_" + strings.ReplaceAll(label[i:], "_", "__")
		}
	}
	return strings.ReplaceAll(label, "_", "__")
}
