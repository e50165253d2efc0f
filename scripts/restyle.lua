-- The same shot in another style: omni redraws a clip, and a picture says how.
--   kling run --sim scripts/restyle.lua [STYLE.png]
local kling = require "kling"

-- The style is a picture of yours, or else a frame of a clip made for it.
local function style()
  if arg[1] then return kling.image(arg[1]) end
  return kling.text2video { prompt = "A harbour in ink and watercolour, loose brush strokes" }:wait():frame(1)
end

-- The shot and the style are made side by side.
local made = kling.all {
  shot = kling.text2video { prompt = "A girl in a blue coat walks through a market, handheld camera" },
  style = style,
}

-- `base` edits the video and keeps its length; `feature` would only borrow from it.
local redrawn = kling.omni {
  prompt = "Redraw <<<video_1>>> in the manner of <<<image_1>>>, keep every movement",
  video_list = { { video_url = made.shot, refer_type = "base", keep_original_sound = "no" } },
  image_list = { made.style },
}
local clips = { made.shot, redrawn:wait() }

local film = kling.concat(clips, "out/restyle.mp4")
print(film.path .. ": the shot, then the same shot redrawn")
