package oncall

import (
	"testing"
	"time"
)

// BenchmarkAt measures who is on call in a schedule of three layers, the upper two by hours of the week, with ten overrides.
func BenchmarkAt(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	s := Schedule{Layers: []Layer{
		{ID: "L1", People: []string{"ana", "ben", "cy"}, Start: "2024-01-01T09:00", Unit: Weekly, Every: 1},
		{ID: "L2", People: []string{"ana", "ben"}, Start: "2024-01-01T00:00", Unit: Daily, Every: 1, Only: []Window{{Days: []int{1, 2, 3, 4, 5}, From: "09:00", To: "17:00"}}},
		{ID: "L3", People: []string{"dee"}, Start: "2024-01-01T00:00", Unit: Monthly, Every: 1, Only: []Window{{Days: []int{0}, From: "22:00", To: "06:00"}}},
	}}
	for i := range int64(10) {
		s.Overrides = append(s.Overrides, Override{ID: "o", Person: "eli", From: noon + i*day*7, Until: noon + i*day*7 + day})
	}
	b.Run("one moment", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s.At(noon+int64(i)*3600_000, zone)
		}
	})
	b.Run("30 days of shifts", func(b *testing.B) {
		for b.Loop() {
			s.Shifts(noon, noon+30*day, zone)
		}
	})
}
