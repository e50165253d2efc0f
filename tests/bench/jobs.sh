#!/bin/sh
# jobs.sh KLING: what creating many jobs at once costs its client, and what they weigh while they
# wait, beside a task of other programs that only sleeps.
set -eu
kling=$1
. "$(dirname -- "$0")/common.sh"
cat >"$folder/many.lua" <<'END_OF_SCRIPT'
local kling = require "kling"
local n, accepted, begun = tonumber((...)), 0, os.clock()
local function tell(...)
  local status = io.open("/proc/self/status"):read("a")
  print(status:match("VmRSS:%s*(%d+)"), status:match("Threads:%s*(%d+)"), ...)
end
for i = 1, n do
  kling.spawn(function()
    local job = kling.text2video { prompt = "shot number " .. i }
    job:accepted()
    accepted = accepted + 1
    if accepted == n then
      tell((os.clock() - begun) * 1000 / n)
      kling.sleep(tonumber(arg[2]))
      tell()
      os.exit(0)
    end
    job:wait()
  end)
end
END_OF_SCRIPT
serve --run-seconds 100000 100001
one= most=
for jobs in ${KLING_JOBS:-1 100 1000 4000 10000}; do
  wait=3
  [ "$jobs" -lt 10000 ] || wait=${KLING_WAIT:-75}  # idle threads have ended then
  run "$folder/$jobs.db" "$folder/many.lua" "$jobs" "$wait" >"$folder/figures"
  { read -r rss threads cpu && read -r rss_late threads_late; } <"$folder/figures"
  goal= limit=
  [ "$jobs" -lt 10000 ] || goal='0.60 ms' limit=0.6
  figure "CPU of a job, $jobs created at once" "$cpu" ms '' "$goal" "$limit"
  point 'CPU of a created job, ms' "$jobs" "$cpu"
  if [ -z "$one" ]; then
    one=$rss
    continue
  fi
  late=$(calculate "($rss_late - $one) / ($jobs - 1)")
  [ "$jobs" -lt 10000 ] || most=$late
  point 'memory of a waiting job, KB' "$jobs" "$late"
  printf '%s jobs: %s KB and %s threads when all are accepted, %s KB and %s threads %s s later\n' \
    "$jobs" "$rss" "$threads" "$rss_late" "$threads_late" "$wait"
done
# peer NAME PROGRAM: KB for each of 10,000 sleeping tasks, from programs that print their RSS.
beside=
peer() {
  name=$1
  shift
  has "$1" || { skipped "$name is not installed here"; return 0; }
  beside="$beside${beside:+, }$name $(calculate "($("$@" 10000) - $("$@" 1)) / 9999" | awk '{ printf "%.1f", $1 }')"
}
peer node node -e 'for (let i = 0; i < +process.argv[1]; ++i) (async () => { await new Promise(r => setTimeout(r, 1e6)) })()
  setTimeout(() => { console.log(process.memoryUsage().rss / 1024); process.exit() }, 500)'
peer asyncio python3 -c 'import asyncio, os, sys
async def main():
  tasks = [asyncio.create_task(asyncio.sleep(1e6)) for _ in range(int(sys.argv[1]))]
  await asyncio.sleep(0.5)
  print(int(open("/proc/self/statm").read().split()[1]) * 4, flush=True)
  os._exit(0)
asyncio.run(main())'
peer 'a coroutine of lua5.4' lua5.4 -e 'local all = {} for i = 1, tonumber(arg[1]) do
  all[i] = coroutine.create(function() coroutine.yield(i) end) coroutine.resume(all[i]) end
  print((io.open("/proc/self/status"):read("a"):match("VmRSS:%s*(%d+)")))' /dev/null
[ -z "$most" ] || {
  figure 'memory of a waiting job, of 10,000' "$most" KB "$beside" '5 KB' 5
  figure 'threads while 10,000 jobs wait' "$threads_late" '' '' 12 12
}
