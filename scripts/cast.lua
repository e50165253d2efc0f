-- The same characters in every scene: pictures of them once, scenes from those pictures.
--   kling run --sim scripts/cast.lua [ELEMENT_ID]
-- An element is a character registered in your Kling account; it then plays the captain.
local kling = require "kling"

-- Casting: one portrait each, a frame of a short clip.
local function portrait(who)
  return function()
    local prompt = "Portrait of " .. who .. ", plain background"
    return kling.text2video({ prompt = prompt, aspect_ratio = "1:1" }):wait():frame(2)
  end
end
local cast = kling.all {
  captain = portrait "an old captain with a white beard",
  cat = portrait "a ginger cat with one torn ear",
}

-- Two scenes at once. In the first the pictures meet; in the second the prompt names them.
local scenes = kling.all {
  kling.multi_image2video {
    prompt = "The captain feeds the cat on the deck of a ship",
    image_list = { cast.captain, cast.cat },
    aspect_ratio = "16:9",
  },
  kling.omni {
    prompt = "<<<image_1>>> sleeps on the lap of "
      .. (arg[1] and "<<<element_1>>>" or "<<<image_2>>>")
      .. " in a hammock",
    image_list = { cast.cat, not arg[1] and cast.captain or nil },
    element_list = arg[1] and { { element_id = arg[1] } } or nil,
  },
}

local film = kling.concat(scenes, "out/cast.mp4")
print(film.path)
