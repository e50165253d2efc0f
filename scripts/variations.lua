-- Best of N: the same request several times, then on with the one that is liked best.
--   kling run --sim scripts/variations.lua [N] [CHOICE]
-- Look at out/variations/, then name your CHOICE: only what follows it is made anew.
local kling = require "kling"

local count = tonumber(arg[1]) or 3
local takes = {}
for n = 1, count do
  takes[n] = n
end

-- Equal requests are one step, paid once. `take` tells them apart; it is not sent.
local clips = kling.map(takes, function(n)
  local clip = kling.text2video { prompt = "A fox leaps over a frozen stream, slow motion", take = n }:wait()
  clip:save("out/variations/" .. n .. ".mp4")
  return clip
end)

-- No choice yet: the liveliest one, as movement takes bytes.
local best = tonumber(arg[2])
if not best then
  local most = -1
  for n, clip in ipairs(clips) do
    local bytes = clip:probe().bytes
    if bytes > most then
      best, most = n, bytes
    end
  end
end
print("take " .. best .. " of " .. count)

local ending = kling
  .image2video {
    image = clips[best]:last_frame(),
    prompt = "It looks back, its breath steams",
  }
  :wait()
print(kling.concat({ clips[best], ending }, "out/variations.mp4").path)
