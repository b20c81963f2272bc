package incident

// nearest is the word that needs the fewest changes to be what was typed, or ""
// when none is near enough to be meant.
func nearest(typed string, words []string) string {
	if len(typed) > 40 {
		return ""
	}
	best, least := "", max(1, len(typed)/2)+1
	for _, w := range words {
		if len(typed) >= 2 && len(w) > len(typed) && w[:len(typed)] == typed {
			return w
		}
		if d := edits(typed, w); d < least {
			best, least = w, d
		}
	}
	return best
}

// edits is the Damerau-Levenshtein distance (adjacent swaps count once), by
// bytes.
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
