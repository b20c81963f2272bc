package detect_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
)

// BenchmarkSave says what writing down what was learned costs: nothing is judged meanwhile. What counts is the processor time and the size.
func BenchmarkSave(b *testing.B) {
	for _, series := range []int{200, 2000, 20_000} {
		b.Run(fmt.Sprint("series=", series), func(b *testing.B) {
			s := detect.NewSet(detect.Setup{ChainsElsewhere: true})
			for _, o := range stream(900, series, 0) {
				s.Observe(o)
			}
			began, size := cpu(b), 0
			b.ResetTimer()
			for b.Loop() {
				raw, err := s.Save()
				if err != nil {
					b.Fatal(err)
				}
				size = len(raw)
			}
			b.StopTimer()
			b.ReportMetric(float64(cpu(b)-began)/1000/float64(b.N), "cpu_ms/save")
			b.ReportMetric(float64(size)/(1<<20), "MB")
			b.ReportMetric(float64(size)/1024/float64(series), "KB/series")
		})
	}
}
