-- Two clips for the billboard of billboard.cpp, one after the other.
local kling = require "kling"

for _, prompt in ipairs { "A neon sign in the rain", "A rocket over the bay" } do
  billboard = kling.text2video { prompt = prompt }:wait():save("clips/") -- luacheck: globals billboard
  kling.sleep(1)
end
