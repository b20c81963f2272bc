package views

// DeskBase is what every page of the program with a window needs; these pages are its own, not the room's.
type DeskBase struct {
	Title  string
	Room   string // name of the room behind the window; "" = none is chosen
	Build  string
	Notice *Notice // one sentence that waits to be told; nil = none
	Behind bool    // a room is chosen, so there is a way to its board
}

// DeskRoom is a room elsewhere that is remembered.
type DeskRoom struct {
	ID, Name, URL string
	Current       bool
	LastUsed      int64 // unix ms
	Unsent        int   // notes that wait, or were refused: forgetting the room loses them
	Pinned        bool  // trusted by a fingerprint that somebody compared
}

// DeskStartPage asks which room.
type DeskStartPage struct {
	DeskBase
	First   bool // nothing was chosen yet
	Here    bool // the room in this computer is the current one
	HasHere bool // there is one already
	Rooms   []DeskRoom
}

// DeskJoinPage asks for an address, and what must be said before it is joined.
type DeskJoinPage struct {
	DeskBase
	Address     string // as typed; may carry a sign-in link
	Host        string // of the address, once it is one
	Link        bool   // the address signs somebody in
	Offered     bool   // it came from outside: somebody else's page may have sent it
	Plain       bool   // not encrypted, to another machine: asks again
	Problem     string
	Remedy      string
	Fingerprint string // of a certificate that nobody vouches for, in groups; "" = it is not about that
	Pin         string // the same as it is posted
	Changed     bool   // another one was trusted before
	Subject     string
}

// DeskSignInPage is shown when the room does not know who is there.
type DeskSignInPage struct {
	DeskBase
	Here    bool
	URL     string // of the room
	Next    string
	Problem string
}

// DeskAddress is an address of this computer that the room can be reached at.
type DeskAddress struct{ Value, Label string }

// DeskSettingsPage is everything that can be set about the window and the room in this computer.
type DeskSettingsPage struct {
	DeskBase
	Here      bool // the room in this computer is the current one
	Quiet     string
	Until     int64 // unix ms; 0 = until switched off
	Floor     string
	Kiosk     bool
	Autostart bool
	Sounds    []DeskAddress // value and label of each sound to try

	Port  int    // of the room on loopback; 0 = any
	Local string // where programs of this computer reach the room; "" = it does not run

	NetworkOn   bool
	NetworkHost string
	NetworkPort int
	NetworkName string
	Addresses   []DeskAddress
	Listening   string // where others reach the room now; "" = nowhere
	Fingerprint string
	Expires     int64  // unix ms, of the certificate
	NetworkFail string // why it does not listen although it should
	Asking      bool   // the switch was pressed once: says what it means and asks again
	Who         string // exact sentence of who can reach it then
	Problem     string
}

// DeskAboutPage says what this is.
type DeskAboutPage struct {
	DeskBase
	Version, Go, Dir, Address, Licence string
}

// DeskPausePage is shown while a room opens, or when it cannot be opened.
type DeskPausePage struct {
	DeskBase
	Heading, Says, Remedy string
	Again                 bool   // trying again makes sense
	Rejoin                string // address to look at anew, because of its certificate; "" = none
}

// DeskNote is a note that waits to be sent, or was refused.
type DeskNote struct {
	ID        string
	Incident  int
	Line      string
	WrittenAt int64
	Held      string // why it is not sent although the room answers; "" = nothing holds it
	Refused   string // the room's sentence; "" = it waits
}

// DeskNotesPage lists what was typed while the room could not be reached.
type DeskNotesPage struct {
	DeskBase
	Up    bool
	Notes []DeskNote
}

// PageLink is a page of the navigation.
type PageLink struct{ Text, Href, Keys string }

// PageGroup is a part of the navigation; Text "" is what stands open.
type PageGroup struct {
	Text  string
	Pages []PageLink
}

// Pages is the navigation of the room, for menus outside of it. The caller owns it.
func Pages() []PageGroup {
	var out []PageGroup
	for _, g := range nav {
		p := PageGroup{Text: g.text}
		for _, n := range g.list {
			p.Pages = append(p.Pages, PageLink{n.text, n.href, n.keys})
		}
		out = append(out, p)
	}
	return out
}

func deskTitle(b DeskBase) string {
	if b.Room != "" {
		return b.Title + " · " + b.Room + " · Tocsin"
	}
	return b.Title + " · Tocsin"
}
