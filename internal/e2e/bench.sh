#!/usr/bin/env bash
# Prints our figures as ratios to a peer or a limit of the same run; absolute
# figures of a busy machine mean little.
set -euo pipefail
cd "$(dirname "$0")/../.."

# metric LINE UNIT: the value before a unit in a line of go test -bench.
metric() { awk -v unit="$2" '{ for (i = 2; i <= NF; i++) if ($i == unit) print $(i - 1) }' <<<"$1"; }

echo "Durable commits a second (store/bolt, one fsync for each group)"
go test -run '^$' -bench 'BenchmarkCommit$' -benchtime 1x ./store/bolt | grep writers= | while read -r line; do
	printf '  %3s writers: %5.2f x bare bbolt with one fsync per commit, %5.2f x db.Batch  (%s against %s and %s)\n' \
		"$(sed -E 's/.*writers=([0-9]+).*/\1/' <<<"$line")" "$(metric "$line" ratio-to-update)" "$(metric "$line" ratio-to-batch)" \
		"$(metric "$line" group-commits/s)" "$(metric "$line" update-commits/s)" "$(metric "$line" batch-commits/s)"
done

bash internal/e2e/commands.sh

echo "Deliveries per CPU second (hub, 1,000 websocket readers in another process)"
for bench in BenchmarkFanout BenchmarkFanoutTLS; do
	line=$(go test -run '^$' -bench "$bench\$" -benchtime 1x ./hub/ws | grep "^$bench")
	printf '  %-18s %5.2f x a bare gorilla PreparedMessage loop  (%s against %s)\n' "$bench" "$(metric "$line" ratio)" "$(metric "$line" deliveries/cpu-s)" "$(metric "$line" bare-deliveries/cpu-s)"
done

bash internal/e2e/pages.sh

echo "Nodes watched and series judged (internal/e2e/load_detect.sh; FULL=1 there has 1,000 nodes and 20,000 series too)"
bash internal/e2e/load_detect.sh

echo "POST to pixel in Chromium"
out=$(cd internal/e2e && TOCSIN_BENCH=1 go test -count=1 -run 'TestPostToPixel$' -v . 2>&1) || { echo "$out" >&2; exit 1; }
sed -nE 's/.*RESULT POST to pixel, (.*)/  \1/p' <<<"$out" | sed 's/; /\n  /g'

bash internal/e2e/desktop.sh

echo "Live delivery beside its peers"
bash internal/e2e/fanout.sh

echo "Start-up on a log of 1,000,000 events (aim: the first page within 1,000 ms)"
bash internal/e2e/startup.sh
