package reactor

// Keep makes the correlator keep the state of so few closed incidents that it
// reads them again and again.
func (c *Correlator) Keep(closed int) { c.fold.kept = closed }
