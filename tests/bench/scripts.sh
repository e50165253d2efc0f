#!/bin/sh
# scripts.sh KLING: what a script pays for a request, against curl, and for a shot that is finished
# already; CPU is user and system time, the simulator's not counted. One line a figure.
set -eu
kling=$1
folder=$(mktemp -d)
trap 'kill "$service" 2>/dev/null; rm -rf "$folder"' EXIT
export KLING_API_KEY=any
cd "$folder"
cat >requests.lua <<'END_OF_SCRIPT'
local kling = require "kling"
local n, at_once = tonumber((...)), 8
local path = "/kling/v1/videos/text2video"
path = path .. "/" .. kling.request("POST", path, { prompt = "x", model_name = "kling-v2-6" }).data.task_id
local tasks = {}
for i = 1, at_once do
  tasks[i] = kling.spawn(function()
    for _ = 1, n / at_once do kling.request("GET", path) end
  end)
end
for _, task in ipairs(tasks) do task:wait() end
print(path)
END_OF_SCRIPT
cat >shots.lua <<'END_OF_SCRIPT'
local kling = require "kling"
local shots = {}
for i = 1, tonumber((...)) do shots[i] = { prompt = "shot number " .. i } end
kling.map(shots, function(shot) kling.text2video(shot):wait():save("shots/") end, { limit = 50 })
END_OF_SCRIPT

# tell WHAT UNIT OURS PEER GOAL: one line.
tell() { awk -v a="$3" -v b="$4" -v what="$1" -v unit="$2" -v goal="$5" \
  'BEGIN { printf "%-52s %9.2f %s, peer %.2f, ratio %.2f (goal %s)\n", what, a, unit, b, b ? a / b : 0, goal }'; }
# cpu COMMAND...: its milliseconds of CPU.
cpu() {
  bash -c 'TIMEFORMAT="%U %S"; time "$@" >out 2>err' - "$@" 2>&1 | awk '{ print ($1 + $2) * 1000 }'
}
median() { tr ' ' '\n' | sort -n | awk 'NF { v[++n] = $1 } END { print v[int((n + 1) / 2)] }'; }
serve() {
  "$kling" sim "$@" >service 2>&1 &
  service=$!
  until address=$(grep -o 'http://[0-9.:]*' service | head -n 1) && [ -n "$address" ]; do sleep 0.1; done
}
run() { script=$1 count=$2; cpu "$kling" run -q -y --base-url "$address" --ledger "$folder/jobs.db" "$script.lua" "$count"; }

requests=8000
serve --run-seconds 100000 100001
ours= peer=
for _ in 1 2 3 4 5; do
  most=$(run requests $requests)
  path=$(cat out)
  ours="$ours $(echo "$most $(run requests 0)" | awk -v n=$requests '{ print ($1 - $2) * 1000 / n }')"
  awk -v n=$requests -v url="$address$path" 'BEGIN { while (n--) print "url=" url "\noutput=/dev/null" }' >urls
  peer="$peer $(cpu curl -s --parallel --parallel-max 8 -H 'Authorization: Bearer any' -K urls |
    awk -v n=$requests '{ print $1 * 1000 / n }')"
done
tell 'CPU of a GET in a script, 8 at once, against curl' us "$(echo "$ours" | median)" "$(echo "$peer" | median)" '80 us, ratio 1'
kill "$service"

shots=${KLING_SHOTS:-100}
serve --speed 600
run shots "$shots" >/dev/null
[ ! -s err ] || { cat err; exit 1; }
kill "$service"
# The service is gone: whatever is asked for, fails.
ours= none=
for _ in 1 2 3 4 5; do
  ours="$ours $(run shots "$shots")"
  [ ! -s err ] || { cat err; exit 1; }
  none="$none $(run shots 0)"
done
tell "CPU of a finished shot that is run again, of $shots" ms "$(echo "$(echo "$ours" | median) $(echo "$none" | median)" |
  awk -v n="$shots" '{ print ($1 - $2) / n }')" 0 '0.2 ms'
