#!/bin/sh
# scripts.sh KLING: what a script pays for a request, for a shot that is finished already, and for a
# large picture; beside other clients.
set -eu
kling=$1
. "$(dirname -- "$0")/common.sh"
cd "$folder"
cat >requests.lua <<'END_OF_SCRIPT'
local kling = require "kling"
local n, at_once = tonumber((...)), 8
local path = "/kling/v1/videos/text2video"
path = path .. "/" .. kling.request("POST", path, { prompt = "x", model_name = "kling-v2-6" }).data.task_id
local tasks, before, left = {}, os.clock(), n
for i = 1, math.min(n, at_once) do
  tasks[i] = kling.spawn(function()
    while left > 0 do
      left = left - 1
      kling.request("GET", path)
    end
  end)
end
for _, task in ipairs(tasks) do task:wait() end
print(path, (os.clock() - before) * 1e6 / n)
END_OF_SCRIPT
cat >agent.mjs <<'END_OF_SCRIPT'
import http from "node:http"
const [url, n, way] = [process.argv[2], +process.argv[3], process.argv[4]]
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 }), headers = { Authorization: "Bearer any" }
const get = way === "fetch" ? async () => JSON.parse(await (await fetch(url, { headers })).text())
  : () => new Promise((done, failed) => http.get(url, { agent, headers }, answer => {
      let text = ""
      answer.on("data", part => text += part).on("end", () => done(JSON.parse(text))).on("error", failed) }))
let left = n
const before = process.cpuUsage()
await Promise.all(Array.from({ length: 8 }, async () => { while (left-- > 0) await get() }))
const used = process.cpuUsage(before)
console.log((used.user + used.system) / n)
process.exit()
END_OF_SCRIPT
cat >client.py <<'END_OF_SCRIPT'
import asyncio, json, sys, time
import httpx
async def main(url, n):
  left = [n]
  async with httpx.AsyncClient(headers={"Authorization": "Bearer any"}, limits=httpx.Limits(max_connections=8)) as client:
    async def task():
      while left[0] > 0:
        left[0] -= 1
        json.loads((await client.get(url)).text)
    await asyncio.gather(*[task() for _ in range(8)])
before = time.process_time()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
print((time.process_time() - before) * 1e6 / int(sys.argv[2]))
END_OF_SCRIPT
cat >shots.lua <<'END_OF_SCRIPT'
local kling = require "kling"
local shots = {}
for i = 1, tonumber((...)) do shots[i] = { prompt = "shot number " .. i } end
local before = os.clock()
kling.map(shots, function(shot) kling.text2video(shot):wait():save("shots/") end, { limit = 50 })
print((os.clock() - before) * 1000 / math.max(1, #shots))
END_OF_SCRIPT
cat >picture.lua <<'END_OF_SCRIPT'
local kling = require "kling"
kling.image2video { image = arg[1], prompt = "x" }:accepted()
print((io.open("/proc/self/status"):read("a"):match("VmHWM:%s*(%d+)")))
os.exit(0)
END_OF_SCRIPT

# ---- A request ----
requests=8000
serve --run-seconds 100000 100001
ours= peer= ratios=
for _ in 1 2 3 4 5 6 7; do
  read -r path one <<END_OF_LINE
$(run jobs.db requests.lua $requests)
END_OF_LINE
  ours="$ours $one"
  awk -v n=$requests -v url="$address$path" 'BEGIN { while (n--) print "url=" url "\noutput=/dev/null" }' >urls
  one=$(cpu curl -s --parallel --parallel-max 8 -H 'Authorization: Bearer any' -K urls | awk -v n=$requests '{ print $1 * 1000 / n }')
  peer="$peer $one"
  ratios="$ratios $(calculate "${ours##* } / $one")"
done
beside=
for way in agent fetch; do
  has node || { skipped 'node is not installed here'; break; }
  beside="$beside, node's $way $(node agent.mjs "$address$path" $requests $way | awk '{ printf "%.0f", $1 }')"
done
if python3 -c 'import httpx' 2>/dev/null; then
  beside="$beside, httpx $(python3 client.py "$address$path" 2000 | awk '{ printf "%.0f", $1 }')"
else
  skipped 'the Python package httpx is not installed here'
fi
us=$(echo "$ours" | median)
figure 'CPU of a GET in a script, 8 at once' "$us" us "curl $(echo "$peer" | median | awk '{ printf "%.0f", $1 }')$beside" '80 us' 80
ratio=$(echo "$ratios" | median)
figure 'the same against curl, median of the pairs' "$ratio" '' '' 'ahead of curl: 1' 1
for n in 1 100 10000; do
  point 'CPU of a GET, us' $n "$(for _ in 1 2 3; do run jobs.db requests.lua $n | awk '{ print $2 }'; done | median)"
done

# ---- A picture of 10 MB: header of a PNG, 1280 x 720, and what looks like its data ----
png() {
  printf '\211PNG\r\n\032\n\0\0\0\rIHDR\0\0\005\0\0\0\002\320\010\002\0\0\0\0\0\0\0'
  printf "$2IDAT"
  head -c "$1" /dev/urandom
  printf '\0\0\0\0\0\0\0\0IEND\256B`\202'
}
png 10000000 '\0\230\226\200' >large.png
png 10000 '\0\0\047\020' >small.png
extra=
for i in 1 2 3 4 5; do
  large=$(run "large$i.db" picture.lua large.png)
  small=$(run "small$i.db" picture.lua small.png)
  extra="$extra $(calculate "($large - $small) / 1024")"
done
figure 'peak memory that a picture of 10 MB adds' "$(echo "$extra" | median)" MB '' '1 MB' 1

# ---- Shots that are finished ----
# Their clips are one that is rendered, each with an end of its own: only the simulator sees it so.
mkdir fake shots
cat >fake/ffmpeg <<END_OF_SCRIPT
#!/bin/sh
for out; do :; done
case \$out in *.mp4) ;; *) exec $(command -v ffmpeg) "\$@" ;; esac
[ -s "$folder/clip.mp4" ] || $(command -v ffmpeg) "\$@" || exit
[ -s "$folder/clip.mp4" ] || cp "\$out" "$folder/clip.mp4"
{ cat "$folder/clip.mp4" && printf '\0\0\0\022free%10d' \$\$; } >"\$out"
END_OF_SCRIPT
chmod +x fake/ffmpeg
rerun() { "$kling" run -q -y --base-url "$address" --ledger "$folder/shots-$1.db" shots.lua "$1" 2>err && [ ! -s err ]; }
for shots in ${KLING_SHOTS:-1 100 500}; do
  PATH="$folder/fake:$PATH" serve --speed 600
  rerun "$shots" >/dev/null || { cat err; exit 1; }
  # The service is gone: whatever is asked for, fails.
  stop_service
  taken=
  for _ in 1 2 3 4 5; do
    taken="$taken $(rerun "$shots")" || { cat err; exit 1; }
  done
  ms=$(echo "$taken" | median)
  point 'CPU of a finished shot, ms' "$shots" "$ms"
done
figure "CPU of a finished shot that is run again, of $shots, without a request" "$ms" ms '' '0.2 ms' 0.2
