-- What a script does not do to the program around it: end it, read its input, write to its output
-- where that has a log. `say`: one line to the log; nil: there is none.
local exit, say = ...
local concat, pack, error, tostring = table.concat, table.pack, error, tostring
local open_lines = io and io.lines

local pending = ""
local function write_log(text)
  local rest = 1
  pending = pending .. text
  for line, after in pending:gmatch "([^\n]*)\n()" do
    say(line)
    rest = after
  end
  pending = pending:sub(rest)
end

if say then
  function print(...) -- luacheck: globals print
    local texts = pack(...)
    for i = 1, texts.n do
      texts[i] = tostring(texts[i])
    end
    write_log(concat(texts, "\t") .. "\n")
  end
end
if not io then return end -- the profile "safe"

os.exit = exit -- luacheck: globals os.exit
local input, output, methods = io.stdin, io.stdout, getmetatable(io.stdout).__index
local write = methods.write
for _, name in ipairs { "read", "lines" } do
  local stock = methods[name]
  methods[name] = function(file, ...)
    if file == input then error("a script inside a program has no standard input", 2) end
    return stock(file, ...)
  end
end
function methods.write(file, ...)
  if file ~= output or not say then return write(file, ...) end
  write_log(concat { ... })
  return file
end
-- luacheck: globals io.read io.lines io.write
function io.read(...) return io.input():read(...) end
function io.lines(name, ...)
  if name == nil then return io.input():lines() end
  return open_lines(name, ...)
end
function io.write(...) return io.output():write(...) end
