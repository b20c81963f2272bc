package dial

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait before try n+1 after n failures: doubling from first to most, half of it random, so that collectors do not come back
// in step.
func Backoff(n int, first, most time.Duration) time.Duration {
	d := first << min(max(n-1, 0), 20)
	if d > most || d <= 0 {
		d = most
	}
	return d/2 + rand.N(d/2+1)
}
