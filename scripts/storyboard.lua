-- Six shots at the same time, then one film. A shot that fails does not take the others with it.
--   kling run --sim scripts/storyboard.lua [OUT.mp4]
local kling = require "kling"

local style = "hand-drawn ink and watercolour, soft light"
local shots = {
  "A paper boat in a gutter, rain begins",
  "The boat shoots down a storm drain",
  "Underground river, lanterns on the walls",
  "A rat captain salutes from a sardine tin",
  "The boat reaches the sea at night",
  "Sunrise, the boat unfolds into a letter",
}

local results = kling.map(shots, function(shot)
  local ok, clip = pcall(
    function() return kling.text2video { prompt = shot .. ", " .. style, duration = 5 }:wait() end
  )
  if not ok then print("left out: " .. shot .. "\n  " .. tostring(clip)) end
  return ok and clip
end, { limit = 6 })

local clips = {}
for _, clip in ipairs(results) do
  if clip then clips[#clips + 1] = clip end
end

local film = kling.concat(clips, arg[1] or "out/storyboard.mp4")
print(#clips .. " of " .. #shots .. " shots in " .. film.path)
