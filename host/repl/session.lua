-- What was typed becomes a function that runs as a task: `return` first, then as statements. Locals
-- of an input live on in the next ones; results are kept in _ and _1 to _9; commands start with a
-- dot. `_G` may be changed by the user at any time, so nothing here looks into it later.
local repl, host, kling = ...

local load, ipairs, next, tostring = load, ipairs, next, tostring
local rawget, rawset, rawequal = rawget, rawset, rawequal
local pack, insert, remove, concat = table.pack, table.insert, table.remove, table.concat
local get_upvalue, join_upvalue, open_file = debug.getupvalue, debug.upvaluejoin, io.open
local find, gmatch, gsub, match, rep = string.find, string.gmatch, string.gsub, string.match, string.rep
local globals = _G

local cells = {} -- name of a local to { closure that has it as an upvalue, its index there }
local results = {} -- newest first
local inputs = {} -- what .save writes
local now -- the input that runs: { source, expression, values }
local told_locals = false

-- The value of a local of earlier inputs. Runs nothing of the user's.
function repl.local_value(name)
  local cell = cells[name]
  if not cell then return nil end
  local _, value = get_upvalue(cell[1], cell[2])
  return value
end
function repl.locals() return next, cells end

-- Every name that stands in the text; strings and comments may add some, which does no harm.
local function names_in(text, wanted)
  local names, seen = {}, {}
  for name in gmatch(text, "[%a_][%w_]*") do
    if not seen[name] and not repl.keywords[name] and wanted(name) and #names < 150 then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  return names
end

local function keep(probe)
  for i = 1, 255 do
    local name = get_upvalue(probe, i)
    if not name then return end
    if name ~= "_ENV" then cells[name] = { probe, i } end
  end
end
local function keep_holder() return keep end

-- The names that may be locals of the text when it has run. The compiler knows which of them are:
-- in the closure at its end those become upvalues, the others globals that are never read.
local function declared_in(text)
  local after_local = {}
  for names in gmatch(text, "local%s+([%a_][%w_%s,<>]*)") do
    after_local[#after_local + 1] = names
  end
  return names_in(concat(after_local, " "), function(name) return name ~= "_" end)
end

-- Wraps a text that compiles so that it sees the locals of earlier inputs and leaves its own.
local function with_locals(text, is_expression, chunk_name)
  local known = names_in(text, function(name) return cells[name] ~= nil end)
  local declared = is_expression and {} or declared_in(text)
  if #known == 0 and #declared == 0 then return nil end
  local head = "local __kling_keep"
  for _, name in ipairs(known) do
    head = head .. "," .. name
  end
  head = head .. ";return function(...) "
  local reads = { "\n;__kling_keep(function() local _;" }
  for _, name in ipairs(declared) do
    reads[#reads + 1] = "_=" .. name .. ";"
  end
  local tail = #declared > 0 and concat(reads) .. "end)" or ""
  local made = load(head .. text .. tail .. "\nend", chunk_name, "t")
  if not made then -- it ends with return, say
    if find(text, "^%s*local") and not told_locals then
      told_locals = true
      host.write "(an input that ends with return takes its locals with it: leave the return out)"
    end
    made = load(head .. text .. "\nend", chunk_name, "t")
  end
  if not made then return nil end
  local fn = made()
  for i = 1, 255 do
    local name = get_upvalue(fn, i)
    if not name then break end
    local cell = cells[name]
    if name == "__kling_keep" then
      join_upvalue(fn, i, keep_holder, 1)
    elseif cell then
      join_upvalue(fn, i, cell[1], cell[2])
    end
  end
  return fn
end

-- The function to run as a task, or nil, the message and whether more lines may cure it.
local function compile(source, chunk_name, first_line, only_statements)
  local before = rep("\n", first_line - 1)
  local text = before .. "return " .. source
  local fn, why
  if not only_statements then
    fn, why = load(text, chunk_name, "t")
  end
  local is_expression = fn ~= nil
  if not fn then
    local message
    text = before .. source
    fn, message = load(text, chunk_name, "t")
    if not fn then
      local more = find(message, "<eof>$") or why and find(why, "<eof>$") -- "1 +", too
      local open = find(message, "unfinished string") and not find(source, "\\$")
      return nil, message, more ~= nil and not open
    end
  end
  fn = with_locals(text, is_expression, chunk_name) or fn
  if find(source, "^%s*local%s+[%w_]+%s*<") and not told_locals then
    told_locals = true
    host.write "(a <const> or <close> local may end with its input: leave the attribute out to keep it)"
  end
  local input = { source = source, expression = is_expression }
  return function()
    now = input
    input.values = pack(fn())
  end
end

local function saved(input)
  if host.is_secret(input.source) then return "-- an input with a key or a signed address is left out" end
  -- A value alone is no statement; a call is.
  if not input.expression or load(input.source, "=", "t") then return input.source end
  return "-- " .. gsub(input.source, "\n", "\n-- ")
end

local function save(path)
  local there = open_file(path, "rb")
  if there then
    there:close()
    return "error", path .. " exists: choose another name"
  end
  local file, why = open_file(path, "wb")
  if not file then return "error", "cannot write " .. why end
  file:write('local kling = require "kling"\n\n')
  for _, input in ipairs(inputs) do
    file:write(saved(input), "\n")
  end
  file:close()
  return "text",
    ("%d inputs are in %s; kling run --sim %s rehearses them, without --sim it pays"):format(
      #inputs,
      path,
      path
    )
end

repl.commands = {
  { "help", "", "this list; help() tells about the module" },
  { "load", "FILE", "run a script here; its jobs are new ones, paid again" },
  { "save", "FILE", "write what was typed and worked as a script" },
  { "time", "INPUT", "run it and tell how long it took" },
  { "clear", "", "forget locals, results and an unfinished input; clear the screen" },
  { "quit", "", "leave (also Ctrl-D); jobs go on at the service" },
}

local run_input
local command = {
  help = function()
    local lines = {}
    for i, row in ipairs(repl.commands) do
      lines[i] = (".%-5s %-6s %s"):format(row[1], row[2], row[3])
    end
    insert(lines, "jobs         the jobs of this session; Ctrl-C ends a wait, never a job")
    insert(lines, "_, _1 … _9   the values of the last inputs, newest first")
    return "text", concat(lines, "\n")
  end,
  load = function(path)
    if path == "" or path == "-" then return "error", ".load FILE" end
    local source, why = host.read(path)
    if not source then return "error", why end
    local fn, message = compile(source, "@" .. path, 1, true)
    if not fn then return "error", message end
    return "run", fn
  end,
  save = function(path)
    if path == "" then return "error", ".save FILE" end
    return save(path)
  end,
  time = function(rest, first_line)
    if rest == "" then return "error", ".time INPUT" end
    local verdict, value = run_input(rest, first_line)
    return verdict == "run" and "timed" or verdict, value
  end,
  clear = function()
    cells, results = {}, {}
    repl.keep_results { n = 0 }
    return "clear"
  end,
  quit = function() return "quit" end,
}

function run_input(source, first_line)
  if find(source, "^%s*[%w_./-]+%.lua%s*$") or find(source, "^%s*load%s+[^%s=(]+%s*$") then
    return "error", "a file is run here by .load FILE; kling run FILE is for the shell"
  end
  source = gsub(source, "^%s*help%s+([%w_.]+)%s*$", 'help "%1"')
  local word = match(source, "^%s*(h[elp][elp][elp])%s*$") -- hlep
  if word and not cells[word] and rawget(globals, word) == nil then source = "help" end
  local fn, message, more = compile(source, host.chunk_name, first_line)
  if fn then return "run", fn end
  if more then return "more", message end
  if find(source, "^%s*kling%s+%a+") or find(source, "^%s*run%s+%S+%s*$") then
    message =
      "that is for the shell: leave with Ctrl-D, or type it in another terminal; .load FILE runs a script here"
  end
  return "error", message
end

-- What to do with the lines typed so far: "run" or "timed" with a function, "more" lines are
-- wanted, "text" or "error" with what to print, "clear", "quit", "nothing".
function repl.submit(source, first_line)
  if not find(source, "%S") then return "nothing" end
  if find(source, "\n%.clear%s*$") then return "nothing" end
  local name, rest = match(source, "^%s*%.(%a+)%s*(.-)%s*$")
  if name and command[name] then return command[name](rest, first_line) end
  if name == "jobs" then return "error", "write jobs() for this session's, kling jobs in the shell" end
  if name then return "error", "there is no command ." .. name .. "; .help lists them" end
  if find(source, "^%s*%?+%s*$") then source = "help" end
  local word = match(source, "^%s*(%a+)[%s()]*$")
  if (word == "quit" or word == "exit") and rawget(globals, word) == nil then return "quit" end
  return run_input(source, first_line)
end

function repl.keep_results(values)
  for i = values.n, 1, -1 do
    insert(results, 1, { values[i] })
  end
  while #results > 9 do
    remove(results)
  end
  rawset(globals, "_", results[1] and results[1][1])
  for i = 1, 9 do
    rawset(globals, "_" .. i, results[i] and results[i][1])
  end
end

-- After an input has run without an error: its answer as text, nil when there is none.
function repl.finish()
  local values = now and now.values
  if not values then return nil end
  local is_ours = find(now.source, "^%s*help%f[^%w_]") or find(now.source, "^%s*jobs%f[^%w_]")
  if not is_ours then insert(inputs, now) end
  if values.n == 1 and (rawequal(values[1], repl.help) or rawequal(values[1], repl.jobs)) then
    values[1]()
    return nil
  end
  if values.n == 0 then return nil end
  repl.keep_results(values)
  return repl.show(values)
end

function repl.jobs() host.write(host.jobs()) end

-- Output of the user's goes above the line that is being typed.
local function print(...)
  local values = pack(...)
  for i = 1, values.n do
    values[i] = tostring(values[i])
  end
  host.write(concat(values, "\t"))
end

rawset(globals, "kling", kling)
rawset(globals, "print", print)
rawset(globals, "help", repl.help)
rawset(globals, "jobs", repl.jobs)
