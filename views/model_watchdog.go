package views

// Watchdog is the part of /sources about the heartbeats that go out.
type Watchdog struct {
	Beats   []BeatRow // in the order of the settings
	Replica string    // whose they are, "" = there is one
}

// BeatRow is one address that hears from us.
type BeatRow struct {
	Name    string
	Host    string // of the address; the rest of it is a secret
	Every   string // "30 s"
	Outcome string // of the last one: taken, held back, not taken; "" = none was sent yet
	Since   int64  // since when that is so, unix ms
	TakenAt int64  // the last one that was taken, unix ms, 0 = none
	Why     string // why it was held back or not taken
}
