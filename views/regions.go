package views

import "strconv"

// Region ids: the DOM id of a live region is the key of the frames that replace it.
const (
	// every topic of the room
	RegionReadOnly = "read-only" // ReadOnly

	// topic board
	RegionBoardSetup     = "board-setup"     // Setup
	RegionBoardIncidents = "board-incidents" // BoardIncidents
	RegionBoardSignals   = "board-signals"   // BoardSignals
	RegionBoardRecent    = "board-recent"    // Recent
	RegionQueues         = "queues"          // Queues (page /queues)
	RegionSignals        = "signals"         // SignalList (page /signals; Show=open is what is pushed)

	// topic chains
	RegionChains = "chains" // Chains: only when a chain was added or removed; else RegionChain(id)

	// topic wall
	RegionWallIncident = "wall-incident" // WallIncident
	RegionWallOthers   = "wall-others"   // WallOthers
	RegionWallSummary  = "wall-summary"  // WallSummary

	// topic incident/{n}
	RegionStrip       = "incident-strip" // Strip
	RegionFacts       = "incident-facts" // Facts
	RegionWaiting     = "waiting"        // Waiting
	RegionTimeline    = "timeline"       // container; entries are RegionEntry(offset), into "timeline", place "end"
	RegionCharts      = "charts"         // Charts
	RegionRoomSignals = "room-signals"   // RoomSignals
	RegionTasks       = "tasks"          // Tasks
	RegionRoles       = "roles"          // Roles
	RegionLinks       = "links"          // Links
	RegionAddresses   = "addresses"      // Addresses
	RegionComms       = "comms"          // Comms
	RegionPresence    = "in-the-room"    // Presence
	RegionPaging      = "paging"         // Paging
	RegionImpact      = "impact"         // Impact
	RegionImpactWhole = "impact-whole"   // Impact, on the page /incidents/{n}/impact

	// topic status (served on /status/live)
	RegionStatus = "status" // StatusBody
)

// RegionChain is the id of one chain's element and the key of its frames.
func RegionChain(id string) string { return "chain-" + id }

// RegionEntry is the id of one timeline entry and the key of its frame.
func RegionEntry(offset int64) string { return "e-" + strconv.FormatInt(offset, 10) }

// SampleKey is the key of a sample frame of one chart on topic chains.
func SampleKey(chart string) string { return "samples/" + chart }
