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

# tell WHAT PROGRAM...: against an empty script in stock Lua.
tell() {
  what=$1
  shift
  took=$(($(best "$@") - none))
  awk -v what="$what" -v took="$took" -v lua="$lua" \
    'BEGIN { printf "%-52s %9.2f ms, lua5.4 %.2f, ratio %.2f\n", what, took / 1000, lua / 1000, took / lua }'
}

none=$(best true)
lua=$(($(best lua5.4 "$folder/empty.lua") - none))
LUA_CPATH_5_4="$(dirname "$kling")/../lib/?.so"
export LUA_CPATH_5_4
tell 'openssl version' openssl version
tell 'curl --version' curl --version
tell 'kling run empty.lua' "$kling" run "$folder/empty.lua"
tell 'kling run checks.lua' "$kling" run "$folder/checks.lua"
tell 'lua5.4 checks.lua' lua5.4 "$folder/checks.lua"
