#!/bin/sh
# jobs.sh KLING: what creating many jobs at once costs its client, and what they weigh while they
# wait; one line a figure. The simulator is another process, and is not counted.
set -eu
kling=$1
folder=$(mktemp -d)
trap 'kill "$service" 2>/dev/null; rm -rf "$folder"' EXIT
cat >"$folder/many.lua" <<'END'
local kling = require "kling"
local n, accepted = tonumber((...)), 0
for i = 1, n do
  kling.spawn(function()
    local job = kling.text2video { prompt = "shot number " .. i }
    job:accepted()
    accepted = accepted + 1
    if accepted == n then
      local ticks = { io.open("/proc/self/stat"):read("a"):match("%) %S+" .. (" %S+"):rep(10) .. " (%d+) (%d+)") }
      local status = io.open("/proc/self/status"):read("a")
      print((ticks[1] + ticks[2]) * 10 / n, status:match("VmRSS:%s*(%d+)"), status:match("Threads:%s*(%d+)"))
      os.exit(0)
    end
    job:wait()
  end)
end
END
"$kling" sim --run-seconds 100000 100001 >"$folder/service" 2>&1 &
service=$!
until address=$(grep -o 'http://[0-9.:]*' "$folder/service" | head -n 1) && [ -n "$address" ]; do sleep 0.1; done
for jobs in ${KLING_JOBS:-1000 4000 10000}; do
  KLING_API_KEY=any "$kling" run -q -y --base-url "$address" --ledger "$folder/$jobs.db" \
    "$folder/many.lua" "$jobs" >"$folder/figures"
  read -r cpu rss threads <"$folder/figures"
  awk -v jobs="$jobs" -v cpu="$cpu" -v rss="$rss" -v threads="$threads" 'BEGIN {
    printf "%-52s %9.2f ms, goal 0.60, ratio %.2f\n", "CPU of a job, " jobs " created at once", cpu, cpu / 0.6
    printf "%-52s %9.2f KB in all for each, %d threads\n", "  the process then", rss / jobs, threads }'
done
