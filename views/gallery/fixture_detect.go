package main

import (
	"math"

	"github.com/tocsin-ops/tocsin/views"
)

func reviewed() []views.Signal {
	return []views.Signal{
		{ID: "detect-0a", Source: "Detectors", Kind: "anomaly", Title: "withdrawals_pending of hot-wallet-2 is 41 % above what is usual at this hour of a Monday", Reason: "1,204 waiting; 640 to 850 is usual. As rare as 1 in 3,200 values.", Severity: "SEV5", State: "open", OpenedAt: ago(12 * m), Weak: true, Doubtful: true, Certainty: "weak: waits for review", Detector: "anomaly"},
		{ID: "detect-0b", Source: "Chain telemetry", Kind: "reorg", Title: "Polygon: reorg of 157 blocks", Reason: "Blocks 39,599,624 to 39,599,780 left the chain on bor-3.", Severity: "SEV2", State: "open", OpenedAt: ago(4 * m), Doubtful: true, Certainty: "seen by one node only, bor-3", Detector: "reorg"},
		{ID: "detect-0c", Source: "Detectors", Kind: "bridge_drain", Title: "Nomad: 5.4 % of the bridge's value left in 5 min", Severity: "SEV1", State: "cleared", OpenedAt: ago(41 * m), ClearedAt: ago(3 * m), Certainty: "confirmed by 2 nodes", Detector: "bridge_drain", Verdict: views.Verdict{Says: "true", By: "Li Wei", At: ago(2 * m), Note: "The looting of the bridge."}},
	}
}

func ahead() []views.Ahead {
	var pts []float64
	for i := range 60 {
		pts = append(pts, 80-float64(i)*0.9+4*math.Sin(float64(i)/6))
	}
	return []views.Ahead{
		{Title: "Hot wallet 2", Subject: "ethereum", Sentence: "It will be below 0 in about 3 h 20 min if it goes on so (80 % between 2 h and 6 h 10 min).", Value: "27 ETH", Bound: "0", Likely: "99 %", Points: pts, Now: now, At: in(200 * m), Low: in(120 * m), High: in(370 * m), Near: true},
		{Title: "Disk of this machine", Sentence: "It may be below 2 within 30 days: 14 % likely.", Value: "41.2 G", Bound: "2", Points: pts, Now: now},
	}
}

func detectorsPage() views.DetectorsPage {
	days := make([]int, 30)
	days[3], days[11], days[28], days[29] = 1, 4, 2, 1
	return views.DetectorsPage{
		Base: base("Detectors", "detectors"), Review: reviewed(), Waiting: 31, Judge: true, Manage: true, Ahead: ahead(),
		Spread: []views.SpreadRow{{Service: "Withdrawals", Likely: "62 %", At: in(5 * m), Low: in(2 * m), High: in(19 * m), Path: []string{"Bridge", "Withdrawals"}, Reason: "It depends on Bridge: 62 % likely to be felt in about 5 min; 3 of 4 incidents of Bridge were felt there."}},
		Rows: []views.DetectorRow{
			{Name: "anomaly", PerDay: "0.4", Weak: "2.1", Last: days, Labelled: 9, Precision: "78 %", Interval: "45 to 94 %", Recall: "88 %", Threshold: "1.8 times rarer", Moved: true, Strict: 0.25, Scored: true},
			{Name: "bridge_drain", PerDay: "< 0.1", Weak: "0.0", Last: make([]int, 30), Threshold: "by rule"},
		},
		Changes: []views.ThresholdChange{
			{ID: "c2", At: ago(3 * h), Detector: "anomaly", Before: "as shipped", After: "1.8 times rarer", Reason: "3 of 4 judged alerts since the last change were false: alerts now need to be 1.8 times rarer.", By: "Tocsin", Undo: true},
			{ID: "c1", At: ago(26 * h), Detector: "stall", Before: "as shipped", After: "1.8 times more common", Reason: "2 weak findings since the last change were true.", By: "Tocsin", Undone: true},
		},
	}
}

func signalPage() views.SignalPage {
	p := views.SignalPage{
		Base: base("Signal", "signals"), Signal: reviewed()[2], Judge: true, Evidence: "{\n  \"ratio\": 0.054,\n  \"net_usd\": 10297858\n}",
		Labels: []views.Pair{{Name: "bridge", Value: "nomad"}},
		Metric: []views.Pair{{Name: "Detector", Value: "bridge_drain"}, {Name: "Likelihood if all were normal", Value: "1 in 200,000"}, {Name: "Seen by", Value: "own-1, provider"}},
		Graph: &views.Picture{Title: "Wallets around it", Says: "4 addresses: Nomad bridge sent 2.3 M$ to 0xf571…7f42, of which 2.1 M$ went on to Tornado Cash.", Width: 760, High: 180, Left: 3,
			Nodes: []views.PictureNode{
				{Address: "0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3", Name: "Nomad bridge", Kind: "watched", Held: "out 2.3 M$", X: 20, Y: 60, Ours: true},
				{Address: "0xf57113d8f6ff35747737f026fe0b37d4d7f42777", Name: "0xf57113…f42777", Held: "in 2.3 M$ · out 2.1 M$", X: 290, Y: 60},
				{Address: "0xd90e2f925da726b50c4ed8d0fb90ad053324f31b", Name: "Tornado Cash", Kind: "mixer", Held: "in 2.1 M$", X: 560, Y: 20, Bad: true},
				{Address: "0x1", Name: "0x1111…1111", Held: "in 0.1 M$", X: 560, Y: 110},
			},
			Edges: []views.PictureEdge{
				{Path: "M196 82C243 82 243 82 290 82", Text: "100 WBTC", TX: 243, TY: 76, Width: "3", Says: "Nomad bridge → 0xf571…7f42: 100 WBTC, 21:32"},
				{Path: "M466 82C513 82 513 42 560 42", Text: "2.1 M$", TX: 513, TY: 56, Width: "2", Says: "0xf571…7f42 → Tornado Cash: 21 × 100 ETH, 21:40 to 22:10"},
				{Path: "M466 82C513 82 513 132 560 132", TX: 513, TY: 110, Width: "1", Says: "0xf571…7f42 → 0x1111…1111: 0.1 M$, 21:50"},
			}},
	}
	p.Signal.Plain = true
	p.Quiet = views.SignalQuiet{May: true, Declare: true, Attach: true, ID: "c1", Open: []views.Choice{{Value: "42", Text: "#42 Nomad bridge: outflow 5.4 % of TVL in 5 minutes"}}, Severities: []views.Choice{{Value: "SEV3", Text: "SEV3", On: true}}}
	return p
}
