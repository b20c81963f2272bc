package views

// ReachPage is /me/notifications: the routes by which I am reached.
type ReachPage struct {
	Base
	Routes  []RouteRow
	Offers  []RouteOffer
	PushKey string // public key for this browser's subscription
	Undo    *UndoBar
	Problem string
	Zone    string // offered for quiet hours
}

// RouteRow is one route of mine, in order.
type RouteRow struct {
	ID, Kind, Label, Shown string
	Verified, Waits        bool
	Off                    string // why it cannot be used now, "" = it can
	Outcome, Detail        string // of the last attempt
	At                     int64
	After                  string // "", or like "2 min"
	AfterMinutes           string
	Floor                  string
	Floors                 []Choice
	QuietFrom, QuietTo     string
	Zone                   string
	QuietPages             bool
	Secret                 string // of a webhook
	First, Last            bool
	N                      int // 1 is used first
}

// RouteOffer is one kind of route that can be added, or why not.
type RouteOffer struct {
	Kind, Label, Off string
	Field, Hint      string // what to type, and help
	Type             string // of the input
}
