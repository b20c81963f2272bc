package series

// clock finds the usual time between samples by the majority vote of Boyer and Moore: in the first two dozen gaps those count as the same that differ by less
// than an eighth, later those that differ by less than a factor of two. So one long gap or a burst changes nothing, uneven samples have a step too, and a
// series that is taken at another pace from now on gets a new one.
type clock struct {
	Last, Step int64 // ms
	Votes      int64
	Gaps       int64
	Longest    int64 // the longest gap, slowly forgotten
	Begun      bool
}

const (
	settled    = ringSize
	mostVotes  = 200
	longestGap = 400 * day // what is longer is a broken clock
)

// tick takes the time of the next sample and tells whether the step is another now.
func (c *clock) tick(at int64) bool {
	last, begun := c.Last, c.Begun
	c.Last, c.Begun = at, true
	if !begun || at <= last || at > last+longestGap || last+longestGap < last {
		return false
	}
	gap := at - last
	c.Gaps++
	c.Longest = max(gap, c.Longest-c.Longest/1024)
	same := c.Step/2 <= gap && gap <= 2*c.Step
	if c.Gaps <= settled {
		same = c.Step-c.Step/8 <= gap && gap <= c.Step+c.Step/8
	}
	if c.Step > 0 && same {
		c.Votes = min(c.Votes+1, mostVotes)
		return false
	}
	if c.Votes--; c.Votes >= 0 {
		return false
	}
	c.Step, c.Votes = gap, 0
	return true
}

// step is the usual time between samples; a minute until it is known.
func (c *clock) step() int64 {
	if c.Step == 0 {
		return 60_000
	}
	return c.Step
}
