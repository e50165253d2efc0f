-- A chain that goes on with another prompt when the service refuses the first one, and with a
-- simpler shot when the better one takes too long. What was refused is part of the story: the same
-- command again sends nothing, and goes the same way. kling run --retry-failed fallback.lua asks
-- again for what failed.
local kling = require "kling"

-- The first of the prompts that the service takes.
local function first_accepted(prompts)
  local refused
  for _, prompt in ipairs(prompts) do
    local job = kling.text2video { prompt = prompt }
    local ok, result = pcall(job.wait, job)
    if ok then return result, prompt end
    if type(result) ~= "userdata" or result.kind ~= "policy" then error(result, 0) end
    print("refused: " .. prompt)
    refused = result
  end
  error(refused, 0)
end

local opening, prompt = first_accepted {
  "The battle at dawn, a bloodbath seen from the hill",
  "The battle at dawn, banners in the mist seen from the hill",
}
print("opening: " .. prompt)

-- Half an hour for the long shot, else a short one.
local ok, ending = pcall(
  kling.timeout,
  1800,
  function()
    return kling
      .image2video({ image = opening:last_frame(), prompt = "The mist lifts", duration = 10 })
      :wait()
  end
)
if not ok then
  ending = kling.image2video({ image = opening:last_frame(), prompt = "The mist lifts" }):wait()
end
print("ending: " .. ending.duration .. " s")
