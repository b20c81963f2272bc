#!/usr/bin/env bash
# Runs every fuzz target of the product for a while each: fuzz.sh [20s]
# A failure leaves its input below testdata/fuzz of the package; commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/../.."
each=${1:-20s}
failed=0
while IFS=: read -r file target; do
	package=./$(dirname "$file")
	echo "== $package $target for $each"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" -parallel 2 "$package" || failed=1
done < <(git ls-files -co --exclude-standard '*_test.go' | grep -v '^internal/e2e/' | xargs grep -Eo '^func Fuzz[A-Za-z0-9_]*' /dev/null | sed 's/func //' | sort)
exit $failed
