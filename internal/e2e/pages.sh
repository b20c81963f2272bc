#!/usr/bin/env bash
# Prints how the public page holds against a bare net/http handler that writes
# the same headers and bytes: 64 keep-alive connections over loopback, the two
# servers by turns in one run. wrk makes the load when it is installed, else Go.
set -euo pipefail
cd "$(dirname "$0")/../.."

metric() { awk -v unit="$2" '{ for (i = 2; i <= NF; i++) if ($i == unit) print $(i - 1) }' <<<"$1"; }

echo "Public page (whole server, loopback, 64 connections) beside a bare net/http handler with the same headers and bytes"
out=$(go test -run '^$' -bench 'BenchmarkStatusPage$' -benchtime 1x ./web) || { echo "$out" >&2; exit 1; }
grep '^BenchmarkStatusPage/' <<<"$out" | while read -r line; do
	printf '  %-12s %5.2f x its requests/s, %5.2f x its requests per CPU second  (%s/s against %s/s)\n' \
		"$(sed -E 's|^[^/]*/([a-z-]+)-[0-9]+.*|\1|' <<<"$line")" "$(metric "$line" ratio)" "$(metric "$line" cpu-ratio)" \
		"$(metric "$line" requests/s)" "$(metric "$line" bare-requests/s)"
done
