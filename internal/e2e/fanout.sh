#!/usr/bin/env bash
# Live delivery beside the peers and the physical limit, all through the same
# load generator, alternated in one run on loopback; what counts are the ratios.
#
#   TOCSIN_SHARED=DIR bash internal/e2e/fanout.sh          a quick table, under 3 minutes
#   TOCSIN_SHARED=DIR FULL=1 bash internal/e2e/fanout.sh   the whole table, about an hour, for a quiet machine
#
# DIR holds the generator as the Go module fanout (cmd/load, cmd/server). Settings,
# with the quick values: CONNS="1000 5000" SIZES="512" ROUNDS=1 RATE=10
# WINDOW=4 (seconds) PEERS="raw-write gorilla-prepared centrifuge" STUCK=5 (per
# cent, 0: none) STUCK_WINDOW=8 SAT=0 (1: the highest rate too, at the first size) IDLE=0 (connections to measure idle memory with) OUT=FILE (keeps the
# lines) BASE_PORT=19100 TOCSIN=bin/tocsin.
#
# tocsin is bin/tocsin itself: frames enter as notes through POST on the API, go
# through log, projection and rendering, and leave by /live. The smallest frame of
# a note is about 0.7 KB, so in the first rows its frames are larger than the
# others'; column B/frame says by how much. "hub" is the same hub and websocket
# code, published to in process as the peers are, with frames of the exact size.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ -z ${TOCSIN_SHARED:-} || ! -d ${TOCSIN_SHARED}/fanout ]]; then
	echo "Live delivery beside its peers: not measured, TOCSIN_SHARED names no directory with the load generator"
	exit 0
fi
if [[ ${FULL:-0} == 1 ]]; then
	: "${CONNS:=1000 5000 10000 19000}" "${SIZES:=512 2048}" "${ROUNDS:=3}" "${WINDOW:=6}" "${STUCK_WINDOW:=35}" "${SAT:=1}" "${IDLE:=10000}"
fi
: "${CONNS:=1000 5000}" "${SIZES:=512}" "${ROUNDS:=1}" "${RATE:=10}" "${WINDOW:=4}" "${PEERS:=raw-write gorilla-prepared centrifuge}"
: "${STUCK:=5}" "${STUCK_WINDOW:=8}" "${SAT:=0}" "${IDLE:=0}" "${BASE_PORT:=19100}"
ulimit -n "$(ulimit -Hn)"

tmp=$(mktemp -d)
out=${OUT:-$tmp/lines}
: >"$out"
pid=
finish() {
	if [[ -n $pid ]]; then
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	pid=
}
trap 'finish; rm -rf "$tmp"' EXIT

(cd "$TOCSIN_SHARED/fanout" && go build -o "$tmp/" ./cmd/load ./cmd/server)
go test -c -o "$tmp/hub" ./hub/ws
: "${TOCSIN:=bin/tocsin}"
[[ -x $TOCSIN ]] || make --no-print-directory build

token="fanout-$RANDOM$RANDOM$RANDOM-of-this-run"
declare -a to # what the generator needs to reach the server at hand

# serve IMPL: starts it; sets pid and to.
serve() {
	local ws=127.0.0.1:$BASE_PORT ctl=127.0.0.1:$((BASE_PORT + 1)) url
	to=(-url "ws://$ws/ws" -ctl "http://$ctl")
	case $1 in
	tocsin)
		rm -rf "$tmp/data"
		TOCSIN_BOOTSTRAP_TOKEN=$token "$TOCSIN" serve --addr 127.0.0.1:0 --data "$tmp/data" >"$tmp/log" 2>&1 &
		pid=$!
		for _ in $(seq 200); do
			url=$(sed -nE 's/.*listening on (http:\S+).*/\1/p' "$tmp/log" | head -1)
			[[ -n $url ]] && curl -sf -o /dev/null "$url/readyz" && break
			sleep 0.1
		done
		curl -sf -o /dev/null -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d '{"title":"Fan-out","severity":"sev3"}' "$url/api/v1/incidents"
		to=(-url "ws${url#http}/live?topic=incident/1&since=1" -header "Authorization: Bearer $token"
			-pub-url "$url/api/v1/incidents/1/commands" -pub-header "Authorization: Bearer $token" -pub-header 'Content-Type: application/json'
			-pub-body '{"command":"add_note","args":{"text":"seq #{seq} ts {ts} {pad}"}}' -seq 'seq #' -ts ' ts ')
		return
		;;
	hub) TOCSIN_BENCH_HUB="$ws $ctl" "$tmp/hub" >"$tmp/log" 2>&1 & ;;
	*) "$tmp/server" -impl "$1" -addr "$ws" -ctl "$ctl" >"$tmp/log" 2>&1 & ;;
	esac
	pid=$!
	if [[ $1 == centrifuge ]]; then
		to+=(-send '{"id":1,"connect":{}}' -send '{"id":2,"subscribe":{"channel":"bench"}}' -ready '"id":2' -app-ping '{}' -app-pong '{}')
	fi
	for _ in $(seq 100); do
		curl -sf -o /dev/null "http://$ctl/stats" && break
		sleep 0.1
	done
}

# measure KIND IMPL CONNS SIZE FLAGS...: one line in $out.
measure() {
	local kind=$1 impl=$2 n=$3 size=$4 row=$4
	shift 4
	if [[ $impl == tocsin ]]; then # of a frame about 640 bytes are not from the request
		size=$((size > 715 ? size - 640 : 75))
	fi
	serve "$impl"
	timeout 600 "$tmp/load" "${to[@]}" -pid "$pid" -n "$n" -size "$size" -rate "$RATE" -quiet-wait "${QUIET_WAIT:-1s}" -retries "${RETRIES:-0}" \
		-label kind="$kind" -label impl="$impl" -label row="$row" "$@" 2>"$tmp/err" >>"$out" || { echo "  $impl, $n connections: $(tail -1 "$tmp/err")" >&2; }
	finish
}

# table KIND CONNS SIZE: the medians of one measurement, a line for each implementation.
table() {
	awk -v kind="$1" -v conns="$2" -v size="$3" '
	function get(k,  s) { if (!match($0, "\"" k "\":[^,}]*")) return ""; s = substr($0, RSTART, RLENGTH); sub(/^[^:]*:/, "", s); gsub(/"/, "", s); return s }
	function add(k, v) { if (v != "") { all[k] = all[k] " " v } }
	function median(k,  a, n, i, j, t) {
		n = split(all[k], a, " "); if (n == 0) return "-"
		for (i = 2; i <= n; i++) { t = a[i] + 0; for (j = i - 1; j > 0 && a[j] + 0 > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
		return a[int((n + 1) / 2)] + 0
	}
	get("kind") == kind && get("n") == conns && get("row") == size {
		i = get("impl"); if (!(i in seen)) { seen[i] = 1; order[++count] = i }
		add(i "cpu", get("deliveries_per_cpu_s")); add(i "p50", get("p50_ms")); add(i "p99", get("p99_ms")); add(i "p999", get("p999_ms"))
		add(i "kb", get("rss_conn_kb")); add(i "miss", get("missing") + get("closed")); add(i "rate", get("sat_deliveries_s"))
		if (get("deliveries_s") > 0) add(i "wire", get("mb_s") * 1e6 / get("deliveries_s"))
	}
	END {
		for (j = 1; j <= count; j++) {
			i = order[j]; c = median(i "cpu"); raw = median("raw-writecpu"); cent = median("centrifugecpu")
			printf "  %-16s %5.0f B/frame %8.0f deliveries/CPU s", i, median(i "wire"), c
			r = "    -"; if (raw > 0) r = sprintf("%4.2fx", c / raw)
			k = "    -"; if (cent > 0) k = sprintf("%4.2fx", c / cent)
			printf "  %s raw-write  %s centrifuge", r, k
			printf "  %5.1f KB/conn  p50 %.0f p99 %.0f p99.9 %.0f ms", median(i "kb"), median(i "p50"), median(i "p99"), median(i "p999")
			if (kind == "sat") printf "  at most %.0f deliveries/s", median(i "rate")
			if (median(i "miss") > 0) printf "  MISSING %d", median(i "miss")
			print ""
		}
	}' "$out"
}

# stuck: what the readers that read see of those that do not.
stuck() {
	awk '
	function get(k,  s) { if (!match($0, "\"" k "\":[^,}]*")) return ""; s = substr($0, RSTART, RLENGTH); sub(/^[^:]*:/, "", s); gsub(/"/, "", s); return s }
	function add(k, v) { all[k] = all[k] " " v }
	function median(k,  a, n, i, j, t) {
		n = split(all[k], a, " "); if (n == 0) return 0
		for (i = 2; i <= n; i++) { t = a[i] + 0; for (j = i - 1; j > 0 && a[j] + 0 > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
		return a[int((n + 1) / 2)] + 0
	}
	get("kind") ~ /^(stuck|free)$/ { i = get("impl"); if (!(i in seen)) { seen[i] = 1; order[++count] = i } add(i get("kind") "p99", get("p99_ms")); add(i get("kind") "end", get("rss_end_kb")) }
	get("kind") == "stuck" { n[i] = get("slow_conns"); est[i] = get("slow_established"); ok[i] = get("slow_converged"); stale[i] = get("slow_stale"); gone[i] = get("slow_disconnected"); txq[i] = get("slow_txq_kb"); took[i] = get("slow_converge_p50_ms") }
	END { for (j = 1; j <= count; j++) { i = order[j]
		printf "  %-16s p99 of the others %.0f ms beside them, %.0f ms without; resident memory of the server %+.1f KB for each, garbage and all; %d stuck, %d still connected, %d got the newest (%.0f ms after reading again), %d stale, %d cut off; the kernel held %.0f KB for each\n",
			i, median(i "stuckp99"), median(i "freep99"), (median(i "stuckend") - median(i "freeend")) / n[i], n[i], est[i], ok[i], took[i], stale[i], gone[i], txq[i] } }' "$out"
}

for conns in $CONNS; do
	if (($(ulimit -n) < conns + 300)); then
		echo "$conns connections: not measured, the limit of open files is $(ulimit -n)"
		continue
	fi
	for size in $SIZES; do
		echo "$conns connections, $size B, $RATE frames/s"
		for _ in $(seq "$ROUNDS"); do
			for impl in tocsin hub $PEERS; do measure fixed "$impl" "$conns" "$size" -dur "${WINDOW}s"; done
		done
		table fixed "$conns" "$size"
		if [[ $SAT == 1 && $size == "${SIZES%% *}" ]]; then
			echo "$conns connections, $size B, the highest rate with p99 under 250 ms"
			for impl in tocsin hub $PEERS; do measure sat "$impl" "$conns" "$size" -mode sat -dur 3s -pub-conns 1; done
			table sat "$conns" "$size"
		fi
	done
done

if ((STUCK > 0)); then
	conns=${STUCK_CONNS:-5000}
	echo "$conns connections, 2048 B, $STUCK % of them read nothing for ${STUCK_WINDOW} s"
	for _ in $(seq "$ROUNDS"); do
		for impl in tocsin raw-write; do
			measure free "$impl" "$conns" 2048 -dur "${STUCK_WINDOW}s"
			measure stuck "$impl" "$conns" 2048 -dur "${STUCK_WINDOW}s" -slow-pct "$STUCK"
		done
	done
	stuck
fi

if ((IDLE > 0)); then
	echo "$IDLE idle connections, after garbage collection (forced, or five minutes for tocsin)"
	for impl in tocsin hub $PEERS; do
		wait=2s
		[[ $impl == tocsin ]] && wait=300s
		measure idle "$impl" "$IDLE" 512 -mode idle -settle "$wait"
	done
	awk 'function get(k,  s) { if (!match($0, "\"" k "\":[^,}]*")) return ""; s = substr($0, RSTART, RLENGTH); sub(/^[^:]*:/, "", s); gsub(/"/, "", s); return s }
	get("kind") == "idle" { kb = get("rss_conn_gc_kb"); if (kb == "") kb = get("rss_conn_kb"); printf "  %-16s %5.1f KB/conn\n", get("impl"), kb }' "$out"
fi

echo "What one frame costs before it is delivered (POST, log, projection, rendering; 1 connection)"
measure one tocsin 1 700 -dur 6s
awk '/"kind":"one"/ { match($0, /"srv_cpu_s":[0-9.]*/); s = substr($0, RSTART + 12, RLENGTH - 12); match($0, /"published":[0-9]*/); n = substr($0, RSTART + 12, RLENGTH - 12)
	if (n > 0) printf "  %.2f ms of CPU; tocsin'"'"'s rows above have it in them, the others publish in process\n", 1000 * s / n }' "$out"
