#!/usr/bin/env bash
# Runs three Tocsins on three etcds, all on loopback, and stops them on Ctrl-C:
#   bash internal/e2e/cluster.sh [DIRECTORY]
# Without a directory everything is thrown away at the end. CLUSTER_PORT is the
# first port of the replicas (8081), CLUSTER_ETCD_PORT that of etcd (12379).
# Kill and restart single ones by the numbers it prints.
set -euo pipefail
cd "$(dirname "$0")/../.."
port=${CLUSTER_PORT:-8081}
etcd_port=${CLUSTER_ETCD_PORT:-12379}
tocsin=$PWD/bin/tocsin
etcd=$PWD/internal/e2e/.cache/bin/etcd

say() { echo "cluster: $1"; }
fail() { echo "cluster: $1" >&2; exit 1; }

if [[ ${1:-} ]]; then
	mkdir -p "$1" || fail "the directory $1 cannot be made; give another"
	dir=$(cd "$1" && pwd)
	keep=yes
else
	dir=$(mktemp -d)
	keep=
fi

# start LOG COMMAND...: in a process group of its own, which Ctrl-C does not reach:
# the replicas have to stop before etcd does.
start() {
	local log=$1
	shift
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	set +m
	pids+=($!)
	disown $! # else the shell speaks about its end
}

pids=()
ended=
finish() {
	local code=$?
	[[ $ended ]] && return
	ended=yes
	trap '' INT TERM
	# Replicas first: they give back what they lead and tell their browsers.
	local i
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		# The last etcds take seconds to say goodbye to one another.
		if [[ ! $keep ]] && ((i < 3)); then kill -KILL "${pids[i]}" 2>/dev/null || true; fi
		kill -TERM "${pids[i]}" 2>/dev/null || true
		if ((i == 3 || i == 0)); then gone "$i"; fi
	done
	if [[ ! $keep ]]; then rm -rf "$dir"; else say "kept: $dir"; fi
	exit "$code"
}

# gone I: waits until the processes from the I-th on have ended, 15 s at most.
gone() {
	local waited=0 pid
	for pid in "${pids[@]:$1}"; do
		while kill -0 "$pid" 2>/dev/null; do
			if ((waited++ > 150)); then
				say "process $pid does not stop; killing it"
				kill -KILL "$pid" 2>/dev/null || true
				break
			fi
			sleep 0.1
		done
	done
}
trap finish EXIT
# A terminal and make both pass a signal on: the second must not end the cleaning.
trap "trap '' INT TERM; exit 130" INT
trap "trap '' INT TERM; exit 143" TERM

# answers PORT: whether something listens there.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ready WHAT SECONDS LOG PID COMMAND...: waits for the command to succeed.
ready() {
	local what=$1 tries=$(($2 * 10)) log=$3 pid=$4
	shift 4
	until "$@"; do
		kill -0 "$pid" 2>/dev/null || { tail -n 5 "$log" >&2; fail "$what ended; its last words are above, all of them in $log (run with a directory to keep it)"; }
		((tries-- > 0)) || { tail -n 5 "$log" >&2; fail "$what did not get ready in time; its last words are above"; }
		sleep 0.1
	done
}

command -v go >/dev/null || fail "there is no go in the PATH; install Go 1.26 or later (https://go.dev/dl)"
[[ -x $etcd ]] || bash internal/e2e/tools.sh etcd
if [[ ! ${CLUSTER_NO_BUILD:-} ]]; then make --no-print-directory build || fail "the build failed, see above"; fi
[[ -x $tocsin ]] || fail "there is no bin/tocsin; run: make build"
for i in 0 1 2; do
	for p in $((port + i)) $((etcd_port + 2 * i)) $((etcd_port + 2 * i + 1)); do
		if answers "$p"; then fail "port $p is taken; stop what listens there, or set CLUSTER_PORT and CLUSTER_ETCD_PORT"; fi
	done
done

peers=() clients=()
for i in 0 1 2; do
	clients+=("127.0.0.1:$((etcd_port + 2 * i))")
	peers+=("m$i=http://127.0.0.1:$((etcd_port + 2 * i + 1))")
done
all_peers=$(IFS=,; echo "${peers[*]}")
store=etcd://$(IFS=,; echo "${clients[*]}")/tocsin

for i in 0 1 2; do
	start "$dir/etcd$i.log" "$etcd" --name "m$i" --data-dir "$dir/etcd$i" \
		--listen-client-urls "http://${clients[i]}" --advertise-client-urls "http://${clients[i]}" \
		--listen-peer-urls "${peers[i]#*=}" --initial-advertise-peer-urls "${peers[i]#*=}" \
		--initial-cluster "$all_peers" --initial-cluster-token cluster.sh \
		--auto-compaction-mode periodic --auto-compaction-retention 1h --log-level warn
done
for i in 0 1 2; do ready "etcd m$i" 20 "$dir/etcd$i.log" "${pids[i]}" answers "$((etcd_port + 2 * i))"; done

for i in 0 1 2; do
	start "$dir/replica$i.log" "$tocsin" serve --store "$store" --addr "127.0.0.1:$((port + i))" --data "$dir/replica$i"
	# The first makes the room and prints the only sign-in link.
	ready "replica $i" 45 "$dir/replica$i.log" "${pids[3 + i]}" grep -q '^listening on' "$dir/replica$i.log"
done

say "three replicas share $store"
for i in 0 1 2; do
	say "  http://127.0.0.1:$((port + i))   process ${pids[3 + i]}, log $dir/replica$i.log"
done
for i in 0 1 2; do say "  etcd ${clients[i]}   process ${pids[i]}, log $dir/etcd$i.log"; done
link=$(grep -ho 'http://[^ ]*' <(grep -h '^sign-in link' "$dir"/replica*.log || true) | head -n 1 || true)
if [[ $link ]]; then
	say "sign-in link: $link"
else
	say "no sign-in link: somebody has signed in to this directory before"
fi
say "Ctrl-C stops all"

# A process that ends by itself, or is killed, is told and not mourned.
told=
while :; do
	sleep 1 &
	wait $! || true
	running=0
	for i in "${!pids[@]}"; do
		if kill -0 "${pids[i]}" 2>/dev/null; then
			running=$((running + 1))
		elif [[ $told != *" $i "* ]]; then
			told+=" $i "
			if ((i < 3)); then say "etcd m$i has ended"; else say "replica $((i - 3)) has ended; see $dir/replica$((i - 3)).log"; fi
		fi
	done
	((running > 0)) || fail "all have ended"
done
