#!/usr/bin/env bash
# Prints how long bin/tocsin takes from its start to the first page on a log of
# TOCSIN_YEARS_EVENTS events (1,000,000 unless said), with and without a
# snapshot, and the memory that it holds then. Linux only. The log is made anew
# unless TOCSIN_YEARS_DIR names a directory that has one.
set -euo pipefail
cd "$(dirname "$0")/../.."

events=${TOCSIN_YEARS_EVENTS:-1000000}
work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
data=${TOCSIN_YEARS_DIR:-$work/data}
mkdir -p "$data"
if [ ! -e "$data/tocsin.db" ]; then
	TOCSIN_YEARS_DIR=$data TOCSIN_YEARS_EVENTS=$events go test -count=1 -timeout 20m -run 'TestYears$' ./internal/app >"$work/made" || { cat "$work/made" >&2; exit 1; }
fi

export TOCSIN_BOOTSTRAP_TOKEN=the-token-of-the-bench-0123456789
now() { date +%s%N; }

# begin NAME: starts the server, and prints when its pages came and what it holds.
begin() {
	local from ms status url
	from=$(now)
	bin/tocsin serve --addr 127.0.0.1:0 --data "$data" >"$work/out" 2>&1 &
	server=$!
	until url=$(sed -nE 's/^listening on (.*)/\1/p' "$work/out") && [ -n "$url" ]; do
		kill -0 "$server" 2>/dev/null || { cat "$work/out" >&2; exit 1; }
		sleep 0.005
	done
	curl -sf -o /dev/null -H "Authorization: Bearer $TOCSIN_BOOTSTRAP_TOKEN" "$url/"
	ms=$((($(now) - from) / 1000000))
	curl -sf -o /dev/null "$url/status"
	status=$((($(now) - from) / 1000000))
	printf '  %-30s first page %5d ms, status page %5d ms after the start; %s\n' "$1" "$ms" "$status" \
		"$(awk '/^RssAnon/ { anon = $2 } /^RssFile/ { file = $2 } END { printf "%d MB of its own, %d MB of the file mapped", anon / 1024, file / 1024 }' "/proc/$server/status")"
}

# end SIGNAL: stops it.
end() {
	kill "-$1" "$server"
	wait "$server" 2>/dev/null || true
	server=
}

rm -rf "$data/snapshot"
begin "the whole log is read"
end TERM
for n in 1 2 3; do
	begin "with a snapshot, $n"
	end TERM
done
