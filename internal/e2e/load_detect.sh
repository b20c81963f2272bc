#!/usr/bin/env bash
# What watching nodes and judging series costs, in three sizes at the same time on the same machine: 10 nodes and 200 series, ten times as much, and with
# FULL=1 a hundred times as much. What counts is processor time of one core and the ratio; absolute figures of a busy machine mean little.
#
#   bash internal/e2e/load_detect.sh            about four minutes
#   FULL=1 bash internal/e2e/load_detect.sh     1,000 nodes and 20,000 series too; wants a core for itself and one for the nodes
#
# Settings, with their values: WARM=60s FOR=180s POLL=1s TOCSIN=bin/tocsin. The nodes (half EVM, half Bitcoin, all asked for their newest block once in
# POLL, which the figure of heads shows; POLL=0s: as often as without a setting; blocks every 2 s and 12 s) and the sender (every series every 15 s, by
# remote write) are internal/e2e/load.
set -euo pipefail
cd "$(dirname "$0")/../.."

: "${WARM:=60s}" "${FOR:=180s}" "${POLL:=1s}" "${TOCSIN:=$PWD/bin/tocsin}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ -x $TOCSIN ]] || make --no-print-directory build
(cd internal/e2e && go build -o "$tmp/load" ./load)

# size CHAINS NODES SERIES: one size, its figures into $tmp/out.
size() {
	"$tmp/load" -tocsin "$TOCSIN" -chains "$1" -nodes "$2" -poll "$POLL" -series "$3" -warm "$WARM" -for "$FOR" -out "$tmp/out" >"$tmp/said-$3" 2>&1 ||
		{ cat "$tmp/said-$3" >&2; echo failed >>"$tmp/out"; }
}
size 2 5 200 &
size 20 5 2000 &
wait
if [[ ${FULL:-0} == 1 ]]; then size 50 20 20000; fi
if grep -q failed "$tmp/out"; then exit 1; fi

sort -t= -k2 -n "$tmp/out" | awk '
{ for (i = 1; i <= NF; i++) { split($i, kv, "="); v[kv[1]] = kv[2] }
	ratio = ""
	if (n++) ratio = sprintf("; %.1f x the processor of the size before", v["cpu_percent"] / before)
	printf "  %5d nodes, %5d series: %6.2f %% of a core, %4d MiB at most; a second %.0f heads asked for, %.0f calls to nodes, %.0f samples judged; %d lost; state %.1f MiB%s\n",
		v["nodes"], v["series"], v["cpu_percent"], v["rss_peak_mib"], v["heads_per_s"], v["calls_per_s"], v["judged_per_s"], v["lost"], v["state_kib"] / 1024, ratio
	before = v["cpu_percent"] }'
