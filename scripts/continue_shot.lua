-- One long take: every clip begins with the last frame of the one before.
--   kling run --sim scripts/continue_shot.lua [OUT.mp4]
-- Stop it at any time: the same command goes on where it was, and pays for nothing twice.
local kling = require "kling"

local beats = {
  "A red kite lifts off a beach, the camera follows it up",
  "The kite crosses the dunes towards a village",
  "It dives between the roofs, laundry flutters",
  "It lands in the hands of a child on a doorstep",
}

local clips = { kling.text2video { prompt = beats[1] }:wait() }
for i = 2, #beats do
  clips[i] = kling.image2video { image = clips[i - 1]:last_frame(), prompt = beats[i] }:wait()
end

-- The frame where two clips meet is in both; concat shows it once.
local film = kling.concat(clips, arg[1] or "out/continue_shot.mp4")
print(film.path)
