package series

// counter finds out whether a series counts something up: then what is judged is how much it rose, and a fall to less than half is a restart of what counts,
// as Prometheus takes it (rate, resets).
type counter struct {
	Raw         float64
	Seen, Rises int32
	Begun       bool
	On, Off     bool // decided
}

// It is a counter when it did not fall in its first counterAfter samples, and rose in three of four.
const counterAfter = 64

// take gives what is to be judged of the next value, and whether that is now another thing than before.
func (c *counter) take(v float64) (x float64, changed bool) {
	was, begun := c.Raw, c.Begun
	c.Raw, c.Begun = v, true
	switch {
	case !begun || c.Off:
		return v, false
	case c.On && v >= was:
		return v - was, false
	case c.On && v >= 0 && v < was/2:
		return v, false
	case v < was:
		changed, c.On, c.Off = c.On, false, true
		return v, changed
	}
	c.Seen++
	if v > was {
		c.Rises++
	}
	if c.Seen < counterAfter {
		return v, false
	}
	if c.On = c.Rises >= counterAfter*3/4; c.On {
		return v - was, true
	}
	c.Off = true
	return v, false
}
