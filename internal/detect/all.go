package detect

// All builds every value heuristic with the facts that are known. Check the facts before.
func All(c Config) []Heuristic {
	return []Heuristic{
		NewBacking(c), NewNumbers(c), NewDrain(c), NewRepeats(c),
		NewOracle(c), NewDepeg(c),
		NewLarge(c), NewPoisoning(c), NewControl(c), NewLayering(c),
		NewSpends(c),
	}
}
