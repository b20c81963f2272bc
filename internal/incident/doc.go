// Package incident owns what an incident is: the commands people and robots
// give, the rules that refuse them with a sentence or turn them into events,
// the state that follows from the events, and the composer's grammar. It is
// pure: time and identity arrive as arguments. It never reads a clock, never
// stores, never sends, and never decides who is allowed to do what.
package incident
