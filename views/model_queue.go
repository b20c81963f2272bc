package views

// QueuesPage is /queues: what waits in which team's queue. Topic: board.
type QueuesPage struct {
	Base
	Queues Queues
	Teams  []Choice  // that an incident can be handed on to
	Hand   *HandForm // form without scripts; nil = not open
}

// Queues are all queues. Region id: queues.
type Queues struct {
	List     []Queue     // front line first, then specialists
	Unrouted []QueueItem // open incidents in no team's queue
}

// Queue is what waits for one team.
type Queue struct {
	ID    string
	Name  string
	Tier  int
	Skill string
	Now   []string // display names on call
	Gap   bool     // nobody is
	Items []QueueItem
	More  int // that are not shown
}

// QueueItem is one incident in a queue.
type QueueItem struct {
	Number   int64
	Title    string
	Severity string
	Status   string
	Drill    bool
	Cost     string // "$4,200 a minute", "" = not known
	Since    int64  // in this queue since, unix ms
	Claimed  string // display name, "" = unclaimed
	Handle   string // of who claimed it
	At       int64  // claimed at
	Held     Held
	Note     string // with which it was handed on, "" = none
	From     string // team it came from
}

// HandForm hands one incident on.
type HandForm struct {
	Number  int64
	Title   string
	Teams   []Choice
	Note    string
	Problem string
}
