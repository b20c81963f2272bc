package detect_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// stream is a stretch of what a busy place sees: series with one sample each 15 s, and nodes that tell their head each second, 10 to a chain
// with a block each 12 s.
func stream(seconds, series, nodes int) []observation.Observation {
	start := int64(1_700_000_000_000)
	var out []observation.Observation
	labels := make([]map[string]string, series)
	for i := range labels {
		labels[i] = map[string]string{"instance": fmt.Sprint("host-", i/50), "job": "api"}
	}
	noise := uint64(1)
	for s := range int64(seconds) {
		at := start + s*1000
		for i := range nodes {
			h := s / 12
			t := observation.Time(start + h*12_000)
			out = append(out, observation.Observation{At: at, Kind: observation.Block, Chain: fmt.Sprint("chain-", i/10), Node: fmt.Sprint("node-", i),
				Height: 1000 + h, Hash: fmt.Sprintf("0x%064d", h), Parent: fmt.Sprintf("0x%064d", h-1), Time: &t})
		}
		for i := int(s) % 15; i < series; i += 15 {
			noise = noise*6364136223846793005 + 1442695040888963407
			v := 100 + float64(noise>>40)/float64(1<<24)*10
			out = append(out, observation.Observation{At: at, Kind: observation.Sample, Series: fmt.Sprint("metric_", i%50), Labels: labels[i], Value: &v})
		}
	}
	return out
}

// cpu is the processor time used so far, in microseconds: other programs on the machine do not count.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano()/1000 + u.Stime.Nano()/1000
}

// BenchmarkSet says what a second of the stream costs and what a Set keeps in memory. Then ten times as much (64 chains of ten nodes are the bound).
func BenchmarkSet(b *testing.B) {
	for _, c := range []struct{ series, nodes int }{{0, 100}, {2000, 0}, {2000, 100}, {20_000, 640}, {20_000, 0}, {0, 640}} {
		b.Run(fmt.Sprintf("series=%d/nodes=%d", c.series, c.nodes), func(b *testing.B) {
			const seconds = 120
			warm := stream(seconds, c.series, c.nodes)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			s := detect.NewSet(detect.Setup{})
			for _, o := range warm {
				s.Observe(o)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			began := cpu(b)
			b.ResetTimer()
			for n := range b.N {
				for _, o := range warm {
					o.At += int64(n+1) * seconds * 1000
					o.Height += int64(n+1) * seconds / 12
					if o.Kind == observation.Block {
						t := *o.Time + observation.Time((n+1)*seconds*1000)
						o.Time = &t
						o.Hash, o.Parent = fmt.Sprintf("0x%064d", o.Height), fmt.Sprintf("0x%064d", o.Height-1)
					}
					s.Observe(o)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N*seconds), "cpu_µs/s_of_stream")
			b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MB")
			runtime.KeepAlive(warm)
		})
	}
}
