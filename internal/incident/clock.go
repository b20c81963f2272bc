package incident

import (
	"strings"
	"time"
)

// clock is the last moment before the command that shows a time of day, "14:05"
// or "14:05:30" UTC; or an RFC 3339 time; or 0 for "unknown".
func (c *check) clock(text string, m Meta) int64 {
	t := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(text)), "Z")
	if t == "UNKNOWN" {
		return 0
	}
	for _, form := range []string{"15:04", "15:04:05"} {
		if at, err := time.Parse(form, t); err == nil {
			ofDay := at.Sub(at.Truncate(24 * time.Hour)).Milliseconds()
			ms := m.At - m.At%day + ofDay
			if ms > m.At+ClockSkew {
				ms -= day
			}
			if ms < m.At-18*60*minute {
				c.refuse(CodeBadTime, "%s has not come yet today. If you mean yesterday, write the whole time: %s.", strings.TrimSpace(text), stamp(max(1, ms)))
			}
			return max(0, ms)
		}
	}
	at, err := time.Parse(time.RFC3339, strings.ToUpper(strings.TrimSpace(text)))
	if err != nil {
		c.refuse(CodeBadTime, "%s is not a time. Write it like 14:05 (UTC), 2026-03-01T14:05:00Z or unknown.", shown(text))
		return 0
	}
	return c.past("this", at.UnixMilli(), m)
}

// stamp is a time for people: RFC 3339 UTC to the second, or "unknown".
func stamp(ms int64) string {
	if ms == 0 {
		return "unknown"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z")
}

func lower(text string) string { return strings.ToLower(strings.TrimSpace(text)) }
