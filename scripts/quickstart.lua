-- A film of four shots, one from each endpoint, each made from what came before.
--   ./dev demo                                  the simulator: nothing is paid
--   KLING_API_KEY=… ./dev run scripts/quickstart.lua      CometAPI: about $1.12
local kling = require "kling"

-- 1. From words alone.
local prompt = "A lighthouse on a cliff at dusk, slow dolly in"
local dusk = kling.text2video { prompt = prompt, aspect_ratio = "16:9" }:wait()

-- 2. The storm begins where the first shot ended.
local storm = kling.image2video {
  image = dusk:last_frame(),
  prompt = "A storm rolls in, waves climb the cliff",
}

-- 3. Meanwhile: two pictures in one scene.
local keeper = kling.multi_image2video {
  image_list = { dusk:frame(0), dusk:frame(2.5) },
  prompt = "The keeper walks up the stairs to the lamp",
}

local clips = kling.all { storm = storm, keeper = keeper }

-- 4. The ending takes up the storm's last picture, with the keeper's as a reference.
local ending = kling.omni {
  prompt = "Dawn after <<<image_1>>>, the keeper of <<<image_2>>> looks out to sea",
  image_list = {
    { image = clips.storm:last_frame(), type = "first_frame" },
    clips.keeper:last_frame(),
  },
}
local dawn = ending:wait()

local film = kling.concat({ dusk, clips.storm, clips.keeper, dawn }, "out/quickstart.mp4")
local facts = film:probe()
print(string.format("%s: %.1f s, %d×%d", film.path, facts.duration, facts.width, facts.height))
