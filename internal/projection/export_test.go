package projection

// Limit makes a world keep so few closed incidents whole, and so few sketches,
// that every way to and from a card is taken.
func (w *World) Limit(kept, sketches int) { w.kept, w.most = kept, sketches }

// Whole is how many incidents are held whole.
func (w *World) Whole() int { return len(w.whole) }
