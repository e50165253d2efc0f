-- Cuts on the beat: one shot for each part of a song, as long as the part, then the song on top.
--   kling run --sim scripts/music_video.lua [SONG.wav]
local kling = require "kling"

-- Where the parts begin, in seconds, and what is seen. kling-v3 makes whole seconds from 3 to 15.
local parts = {
  { at = 0, prompt = "Empty street at night, puddles, a street lamp flickers" },
  { at = 4, prompt = "A dancer steps into the light, close-up of the shoes" },
  { at = 7, prompt = "The dancer spins, water drops fly in slow motion" },
  { at = 12, prompt = "Seen from a roof, the dancer walks away" },
}
local song_ends = 15

-- No song given: a drum of one beat a second, written as a WAV file.
local function drum(path)
  local rate, samples = 22050, {}
  for i = 0, rate * song_ends - 1 do
    local t = i / rate % 1
    samples[i + 1] = string.pack("<i2", 20000 * math.exp(-12 * t) * math.sin(690 * t) // 1 | 0)
  end
  local data = table.concat(samples)
  local form = string.pack("<c4I4I2I2I4I4I2I2", "fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
  local file <close> = assert(io.open(path, "wb"))
  file:write(string.pack("<c4I4c4", "RIFF", 36 + #data, "WAVE"), form, string.pack("<c4s4", "data", data))
  return path
end

local shots = kling.map(parts, function(part, i)
  local ends = parts[i + 1] and parts[i + 1].at or song_ends
  return kling.text2video { model_name = "kling-v3", duration = ends - part.at, prompt = part.prompt }:wait()
end)

-- The film has the shots' length; the song replaces their sound and is cut or followed by silence.
local song = arg[1] or drum(os.tmpname())
local film = kling.concat(shots, "out/music_video.mp4", { audio = song })
if not arg[1] then os.remove(song) end
print(film.path)
