package main

// area is a place on the screens, in pixels.
type area struct{ X, Y, Width, Height int }

// The window's bounds, in pixels.
const (
	minWidth, minHeight = 390, 500
	width, height       = 1280, 800
	graspable           = 80 // how much of a window must be on a screen to be dragged from there
)

// fit moves and shrinks a remembered place so that its window is on a screen that is there now, and its title can be grasped. The first screen is the
// main one; without screens the place stays as it is.
func fit(want area, screens []area) area {
	if len(screens) == 0 {
		return want
	}
	want.Width, want.Height = max(want.Width, minWidth), max(want.Height, minHeight)
	best, most := screens[0], 0
	seen := false
	for _, s := range screens {
		w, h := overlap(want.X, want.Width, s.X, s.Width), overlap(want.Y, want.Height, s.Y, s.Height)
		if w*h > most {
			best, most = s, w*h
		}
		seen = seen || (w >= graspable && h >= graspable && want.Y >= s.Y && want.Y < s.Y+s.Height-graspable/2)
	}
	want.Width, want.Height = min(want.Width, best.Width), min(want.Height, best.Height)
	if seen {
		return want
	}
	if most == 0 { // its screen is gone
		want.X, want.Y = best.X+(best.Width-want.Width)/2, best.Y+(best.Height-want.Height)/2
		return want
	}
	want.X = min(max(want.X, best.X), best.X+best.Width-want.Width)
	want.Y = min(max(want.Y, best.Y), best.Y+best.Height-want.Height)
	return want
}

func overlap(a, n, b, m int) int { return max(0, min(a+n, b+m)-max(a, b)) }
