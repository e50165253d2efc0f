-- What a script does not do to the program around it: end it, read its input, write to its output
-- where that has a log. `is_input`: whether a path is that input; `say`: writes a text to the log,
-- line by line, and without one what is left of the last line; nil: there is no log.
local exit, is_input, say = ...
local concat, pack, error, tostring = table.concat, table.pack, error, tostring

if say then
  function print(...) -- luacheck: globals print
    local texts = pack(...)
    for i = 1, texts.n do
      texts[i] = tostring(texts[i])
    end
    say(concat(texts, "\t") .. "\n")
  end
end
if not io then return end -- the profile "safe"

os.exit = exit -- luacheck: globals os.exit
local input, output, methods = io.stdin, io.stdout, getmetatable(io.stdout).__index
local write, flush, seek, find = methods.write, methods.flush, methods.seek, string.find
local function no_input() error("a script inside a program has no standard input", 3) end
if debug then debug.debug = no_input end -- luacheck: globals debug.debug
-- luacheck: globals os.execute io.popen
for owner, names in pairs { [_G] = { "dofile", "loadfile" }, [io] = { "open", "lines", "input" } } do
  for _, name in ipairs(names) do
    local stock = owner[name]
    owner[name] = function(path, ...)
      local writes = name == "open" and find(tostring((...)), "^[wa]b?$")
      if path == nil and owner == _G or not writes and is_input(path) then no_input() end
      return stock(path, ...)
    end
  end
end
local open_lines, popen, execute = io.lines, io.popen, os.execute
local no_stdin = "exec </dev/null\n" -- of the shell and what it starts
function io.popen(command, mode) return popen(mode == "w" and command or no_stdin .. command, mode) end
function os.execute(command) return execute(command and no_stdin .. command) end
for _, name in ipairs { "read", "lines" } do
  local stock = methods[name]
  methods[name] = function(file, ...)
    if file == input then no_input() end
    return stock(file, ...)
  end
end
function methods.write(file, ...)
  if file ~= output or not say then return write(file, ...) end
  say(concat { ... })
  return file
end
function methods.flush(file)
  if file ~= output or not say then return flush(file) end
  say()
  return file
end
function methods.seek(file, ...)
  if file == output and say then return nil, "the log of a program has no places", 29 end
  return seek(file, ...)
end
-- luacheck: globals io.read io.lines io.write io.flush
function io.read(...) return io.input():read(...) end
function io.lines(name, ...)
  if name == nil then return io.input():lines() end
  return open_lines(name, ...)
end
function io.write(...) return io.output():write(...) end
function io.flush() return io.output():flush() end
