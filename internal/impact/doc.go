// Package impact owns how bad an incident is and why: the catalogue of facts that people state, a score on five axes with the reason of every
// point, what a minute costs, where it will be felt next, and the severity that follows. It never decides a severity, never reads a clock or a
// metric by itself, and never takes what nobody knows for nothing.
package impact
