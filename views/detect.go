package views

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var verdicts = []struct{ value, text, says string }{
	{"true", "True", "It was as the finding said"},
	{"false", "False", "Nothing was wrong: a false alarm"},
	{"unsure", "Unsure", "Looked at, not settled"},
}

type column struct{ x, y, h string }

// columns are the bars of a little chart of counts, 4 units apart in a box 20 high; an empty day is a line on the floor.
func columns(days []int) []column {
	most := 1
	for _, n := range days {
		most = max(most, n)
	}
	out := make([]column, len(days))
	for i, n := range days {
		h := 1.0
		if n > 0 {
			h = math.Max(3, 20*float64(n)/float64(most))
		}
		out[i] = column{strconv.Itoa(4 * i), strconv.FormatFloat(20-h, 'f', 1, 64), strconv.FormatFloat(h, 'f', 1, 64)}
	}
	return out
}

func daysSay(days []int) string {
	sum, on := 0, 0
	for _, n := range days {
		sum += n
		if n > 0 {
			on++
		}
	}
	return fmt.Sprintf("%s on %s of %d", plural(sum, "alert", "alerts"), plural(on, "day", "days"), len(days))
}

type drawing struct{ line, median, fan, bound string }

// coneOf lays a forecast out in a box of 240 by 44: the past in the left half, the bound as a line, and from now on a fan to the times that
// hold the crossing 8 times of 10.
func coneOf(a Ahead) (d drawing) {
	bound, err := strconv.ParseFloat(strings.TrimSpace(a.Bound), 64)
	if err != nil || len(a.Points) < 2 || a.Low <= 0 {
		return drawing{}
	}
	low, high := bound, bound
	for _, v := range a.Points {
		low, high = math.Min(low, v), math.Max(high, v)
	}
	if math.IsNaN(low) || math.IsInf(high-low, 0) || high == low {
		return drawing{}
	}
	y := func(v float64) float64 { return 40 - 36*(v-low)/(high-low) }
	pt := func(x, v float64) string { return fmt.Sprintf("%.1f,%.1f", x, y(v)) }
	var line []string
	for i, v := range a.Points {
		line = append(line, pt(120*float64(i)/float64(len(a.Points)-1), v))
	}
	last := a.Points[len(a.Points)-1]
	end := a.High
	if end <= 0 {
		end = a.At * 2
	}
	d.line, d.bound = strings.Join(line, " "), fmt.Sprintf("%.1f", y(bound))
	x := func(t int64) float64 { return 120 + 120*math.Min(float64(t-a.Now)/math.Max(float64(end-a.Now), 1), 1) }
	d.fan = pt(120, last) + " " + pt(x(a.Low), bound) + " " + pt(x(end), bound)
	if a.At > 0 {
		d.median = pt(120, last) + " " + pt(x(a.At), bound)
	}
	return d
}
