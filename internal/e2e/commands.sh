#!/usr/bin/env bash
# Durable commands of 100 writers beside bare bbolt with the same group commit,
# in turns of one run on a real file system: store, log, rooms, HTTP. The second
# part lets every group wait 10 ms longer, as on a disk whose sync takes 5 ms.
# Figures without a ratio mean little on a busy machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

home=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$home"' EXIT
case $(stat -f -c %T "$home") in
tmpfs | ramfs) echo "$home is in memory; set TMPDIR to a directory on a disk" >&2 && exit 1 ;;
esac

go build -o "$home/tocsin" ./cmd/tocsin
export TOCSIN_BOOTSTRAP_TOKEN=bootstrap-token-of-the-benchmarks
"$home/tocsin" serve --addr 127.0.0.1:0 --data "$home/data" >"$home/out" 2>&1 &
server=$!
place=
for _ in $(seq 100); do
	place=$(sed -nE 's/.*listening on (http:[^ ]+).*/\1/p' "$home/out" | head -1)
	[ -n "$place" ] && curl -fs -o "$home/ready" "${place%/}/readyz" && break
	sleep 0.1
done
[ -n "$place" ] || { cat "$home/out" >&2; exit 1; }

bench() { go test -run '^$' -bench 'BenchmarkCommands$' -benchtime 1x ./internal/room | sed -nE '/^(one fsync|peer|store|log|rooms|a read| +commands)/s/^/  /p'; }
echo "Durable commands of 100 writers (ratio: to bare bbolt with the same group commit, of the same round; latency also in fsyncs)"
TOCSIN_PRODUCT=${place%/} TOCSIN_TOKEN=$TOCSIN_BOOTSTRAP_TOKEN bench
echo "The same on a disk whose sync takes 5 ms longer (simulated: each group waits for two of them)"
TOCSIN_DISK=10ms bench
