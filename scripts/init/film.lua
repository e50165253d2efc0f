-- One shot, and a second one that begins with its last frame.
local kling = require "kling"

local shot = kling.text2video { prompt = "A lighthouse at dusk, slow dolly in", duration = 5 }:wait()
local storm = kling.image2video { image = shot:last_frame(), prompt = "The storm arrives" }:wait()
print(kling.concat({ shot, storm }, "out/film.mp4").path)
