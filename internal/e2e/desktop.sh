#!/usr/bin/env bash
# Prints, as ratios of one run, how the desktop program compares with Chromium on the same pages:
# from its start to the first page, the memory that it holds then, and from an incident's declaration
# over the API to its pixels in the window. Linux only; needs what make tools installs.
set -euo pipefail
cd "$(dirname "$0")"

measure() { # TEST HEADING
	local out
	out=$(TOCSIN_BENCH=1 go test -count=1 -timeout 30m -run "$1\$" -v . 2>&1) || { echo "$out" >&2; exit 1; }
	echo "$2"
	sed -nE 's/.*RESULT [^,]*, (.*)/  \1/p' <<<"$out" | sed 's/; /\n    /g'
}

measure TestDesktopBegins "The desktop program beside Chromium: start to first page, and memory (PSS of all processes)"
measure TestDesktopLatency "The desktop program beside Chromium: declared over the API to pixel, side by side on one display (aim: p99 within 100 ms of Chromium's)"
