#!/bin/sh
# start_up.sh KLING: how long an empty script takes, against lua5.4; one line a figure.
set -eu
kling=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
: >"$folder/empty.lua"
echo 'local kling = require "kling"
assert(not pcall(kling.text2video, { prompt = "x", duration = 77 }))' >"$folder/checks.lua"

# best PROGRAM...: microseconds of the quickest of 60 runs.
best() {
  least=
  for _ in $(seq 60); do
    before=$(date +%s%N)
    "$@" >"$folder/out" 2>&1
    took=$((($(date +%s%N) - before) / 1000))
    [ -n "$least" ] && [ "$least" -le "$took" ] || least=$took
  done
  echo "$least"
}

none=$(best true)
lua=$(($(best lua5.4 "$folder/empty.lua") - none))
for script in empty checks; do
  took=$(($(best "$kling" run "$folder/$script.lua") - none))
  awk -v what="kling run $script.lua" -v took="$took" -v lua="$lua" \
    'BEGIN { printf "%-52s %9.2f ms, lua5.4 %.2f, ratio %.2f\n", what, took / 1000, lua / 1000, took / lua }'
done
