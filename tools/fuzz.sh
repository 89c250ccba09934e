#!/bin/sh
# Runs each fuzz target of the module for the time given: fuzz.sh 60s
set -eu
for file in $(git ls-files '*_test.go'); do
	dir=$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing.F).*/\1/p' "$file"); do
		echo "== $dir $target"
		go test "./$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x
	done
done
