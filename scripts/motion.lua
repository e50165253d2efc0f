-- Saying how things move: towards a given last picture, along a painted path, or by the camera.
--   kling run --sim scripts/motion.lua
-- Paths and camera work with old models only; the warnings tell that they were announced as retired.
local kling = require "kling"
local mask = require "lib.mask"

local boat = kling.text2video { prompt = "A paper boat on a still pond, seen from above" }:wait()
local size = boat:probe()

-- A mask has the picture's size: white is what it speaks of. Here the middle moves, the top rests.
local width, height = size.width, size.height
local middle =
  mask(width, height, { x = width * 0.4, y = height * 0.4, width = width * 0.2, height = height * 0.2 })
local top = mask(width, height, { x = 0, y = 0, width = width, height = height * 0.25 })

local moves = kling.all {
  -- From the last frame back to the first: with the clip itself, an endless loop.
  kling.image2video {
    image = boat:last_frame(),
    image_tail = boat:frame(0),
    mode = "pro",
    prompt = "The boat drifts back to where it was",
  },
  -- Points count in pixels from the bottom left.
  kling.image2video {
    model_name = "kling-v1",
    image = boat:last_frame(),
    prompt = "The boat sails off to the right",
    static_mask = kling.bytes(top),
    dynamic_masks = {
      {
        mask = kling.bytes(middle),
        trajectories = { { x = width // 2, y = height // 2 }, { x = width * 9 // 10, y = height // 3 } },
      },
    },
  },
  kling.image2video {
    model_name = "kling-v1-5",
    mode = "pro",
    image = boat:last_frame(),
    prompt = "The pond in the evening",
    camera_control = { type = "simple", config = { zoom = -5 } },
  },
}

local film = kling.concat({ boat, moves[1], moves[2], moves[3] }, "out/motion.mp4")
print(film.path)
