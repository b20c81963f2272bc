package desk

import "github.com/tocsin-ops/tocsin/internal/attention"

// Shell is what only the window's system can do. Its methods may be called from any goroutine at the same time and do not block; before the window is
// there they keep what they were told last, or do nothing.
type Shell interface {
	Go(path string)    // the window shows this page of the front: path and query, beginning with "/"
	Run(script string) // in the page that is shown
	Browse(url string) // http or https, in the user's own browser
	Title(string)
	Badge(open int, worst string) // 0: none; worst is SEV1 to SEV5
	Notify(attention.Notice)      // texts are plain, not markup; "Open" and "Acknowledge" come back as Desk.Opened and Desk.Acknowledge
	Withdraw(key string)
	Sound(wav []byte)
	Awake(on bool) // the display does not go dark
	Fullscreen(on bool)
	Kiosk(on bool) // full screen, without menu, pointer and ways out but the keyboard's
	Raise()        // the window comes to the front
	Quit()
	Print()
	SavePDF(name string) // asks where, with this name proposed
	Zoom(factor float64) // of the page; 1 is its own size
	Autostart(on bool, args []string) error
	MenuChanged() // Desk.Menu is to be read again
}

// WindowState is where the window was. X and Y may be outside of today's screens: whoever places the window looks.
type WindowState struct {
	X, Y, Width, Height int // Width 0: nothing is remembered
	Maximised           bool
	Fullscreen          bool
}

// Menu is one menu of the bar.
type Menu struct {
	Label string
	Items []Item
}

// Item is one line of a menu.
type Item struct {
	ID        string // given to Desk.Do; "" for separators and submenus
	Label     string
	Key       string // of the window, "CmdOrCtrl+P", "F11"; "" = none
	Page      string // the key that does the same in the page, "g b" or "/sev": only to be shown
	Checked   *bool  // nil: cannot be checked
	Disabled  bool
	Separator bool
	Items     []Item // a submenu when there are any
}
