-- What is easier said in Lua: structured concurrency over the core's groups, waits with progress,
-- and a require whose modules may wait. Its frames never show in tracebacks.
local core, kling, job_methods, own_interpreter = ...

local error, ipairs, pairs, pcall, sort = error, ipairs, pairs, pcall, table.sort
local tostring, type, concat, unpack = tostring, type, table.concat, table.unpack
local getmetatable, setmetatable = getmetatable, setmetatable
local rawget, min, huge = rawget, math.min, math.huge
local spawn, outcome, waitable, refuse = kling.spawn, core.outcome, core.waitable, core.refuse
local label = core.label

-- Functions start in order (positions first, other keys by name), so that task paths repeat.
local function ordered_keys(items)
  local keys, others = {}, {}
  for key in ipairs(items) do
    keys[key] = key
  end
  for key in pairs(items) do
    if not keys[key] then others[#others + 1] = key end
  end
  sort(others, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(others) do
    keys[#keys + 1] = key
  end
  return keys
end

local function begin(item, name, key)
  if type(item) == "function" then
    local task = spawn(item)
    label(task, type(key) == "number" and name .. " " .. key or key)
    return task
  end
  if waitable(item) then return item end
  local is = type(item) == "userdata" and getmetatable(item) or type(item)
  refuse(
    ("kling.%s: [%s] is a %s; it takes jobs, tasks and functions"):format(name, tostring(key), is),
    is == "kling.Clip" and "leave out :wait() there: " .. name .. " waits" or nil
  )
end

-- The on_progress of all and map: called with how many have ended, and how many there are.
-- `example` has all options that `name` takes.
local function teller(name, options, example)
  if options ~= nil and type(options) ~= "table" then
    refuse(("kling.%s: its options are a table, and it got a %s"):format(name, type(options)), example)
  end
  for key in pairs(options or {}) do
    if not example:find(" " .. tostring(key) .. " = ", 1, true) then
      refuse(("kling.%s: unknown option %s"):format(name, tostring(key)), example)
    end
  end
  local tell = options and options.on_progress
  if tell == nil then
    return function() end
  end
  if type(tell) ~= "function" then error("on_progress is a function", 3) end
  local done = 0
  return function(total)
    done = done + 1
    tell(done, total)
  end
end

local function check_items(items, name)
  if type(items) ~= "table" or rawget(items, "spawn") == spawn then
    refuse(
      ("kling.%s takes a table of jobs, tasks and functions"):format(name),
      ("write kling.%s { one, two }"):format(name)
    )
  end
end

local function begin_all(group, items, name)
  check_items(items, name)
  local keys, waits = ordered_keys(items), {}
  for _, key in ipairs(keys) do -- before anything starts
    if type(items[key]) ~= "function" then begin(items[key], name, key) end
  end
  for i, key in ipairs(keys) do
    local wait = begin(items[key], name, key)
    group:add(wait) -- at once: what fails from here on interrupts it
    waits[i] = wait
  end
  return keys, waits
end

-- Interrupts the siblings, lets them end, and raises with all tracebacks.
local function give_up(group, waits, failure)
  group:cancel(failure)
  for i in group.next, group do
    core.also(failure, waits[i])
  end
  error(failure, 0)
end

-- A job that a function returned is waited for in its place: true while that goes on.
local function wait_on(group, waits, keys, i, value)
  if not waitable(value) then return false end
  group:add(value)
  waits[#waits + 1] = value
  keys[#waits] = keys[i]
  return true
end

-- The results of all, as they come; `go_on` is called after each.
local function gather(group, waits, keys, tell, total, go_on)
  local results = {}
  for i in group.next, group do
    local ok, value = pcall(outcome, waits[i])
    if not ok then give_up(group, waits, value) end
    if not wait_on(group, waits, keys, i, value) then
      results[keys[i]] = value
      tell(total)
      go_on()
    end
  end
  return results
end

-- A misspelt name is no nil: at the end of a list it would be left out in silence.
local function with_names(results, keys)
  local known, names = {}, {}
  for _, key in ipairs(keys) do
    if type(key) == "string" and not known[key] then names[#names + 1] = key end
    known[key] = true
  end
  local function missing(_, key)
    if type(key) == "string" and not known[key] then
      core.no_result(key, unpack(names, 1, min(#names, 200)))
    end
  end
  return setmetatable(results, names[1] and { __index = missing })
end

function kling.all(items, options)
  check_items(items, "all")
  if type(options) == "number" then options = nil end -- kling.map gives the number of an item, too
  local tell =
    teller("all", options, "write kling.all(jobs, { on_progress = function(done, total) … end })")
  local group <close> = core.group()
  local keys, waits = begin_all(group, items, "all")
  return with_names(gather(group, waits, keys, tell, #keys, function() end), keys)
end

-- The first that succeeds; when none does, the first error.
function kling.any(items, options)
  if type(options) == "table" then
    refuse(
      "kling.any takes no options",
      "limit its time with kling.timeout(60, function() return kling.any(jobs) end)"
    )
  end
  local group <close> = core.group()
  local keys, waits = begin_all(group, items, "any")
  if #keys == 0 then refuse("kling.any has nothing to wait for", "give it jobs: kling.any { one, two }") end
  local failed, failure = false, nil
  for i in group.next, group do
    local ok, value = pcall(outcome, waits[i])
    if ok then
      if not wait_on(group, waits, keys, i, value) then return value, keys[i] end
    elseif failed then
      core.also(failure, waits[i])
    else
      failed, failure = true, value
    end
  end
  error(failure, 0)
end

function kling.map(list, fn, options)
  if type(list) ~= "table" or type(fn) ~= "function" then
    refuse("kling.map takes a list and a function", "write kling.map(list, function(item, i) return … end)")
  end
  core.check_list(list, "kling.map")
  local tell = teller(
    "map",
    options,
    "write kling.map(list, fn, { limit = 2, on_progress = function(done, total) … end })"
  )
  local limit = options and options.limit or #list
  if type(limit) ~= "number" or limit < 1 and #list > 0 then
    local given = type(limit) == "string" and '"' .. limit .. '"' or tostring(limit)
    refuse("kling.map: limit is a number, 1 or more, and was given " .. given, "write { limit = 2 }")
  end
  local group <close> = core.group()
  local waits, keys, begun = {}, {}, 0
  local function start()
    local i = begun + 1
    if i > #list then return end
    begun = i
    local wait = spawn(fn, list[i], i)
    label(wait, "map " .. i)
    group:add(wait)
    waits[#waits + 1] = wait
    keys[#waits] = i
  end
  for _ = 1, min(limit, #list) do
    start()
  end
  return gather(group, waits, keys, tell, #list, start)
end

function kling.timeout(seconds, fn, ...)
  if type(seconds) ~= "number" or type(fn) ~= "function" then
    refuse(
      "kling.timeout takes a number of seconds and a function",
      "write kling.timeout(60, function() … end)"
    )
  end
  local group <close> = core.group()
  local task = spawn(fn, ...)
  group:add(task)
  return task:wait { timeout = seconds }
end

local wait = job_methods.wait
function job_methods.wait(job, options)
  local progress = type(options) == "table" and options.on_progress
  if not progress then return wait(job, options) end
  if type(progress) ~= "function" then error("on_progress is a function", 2) end
  local timeout = options.timeout
  local limit = timeout and core.now() + timeout
  local group <close> = core.group()
  group:add(job)
  repeat
    progress(job)
    local left = limit and limit - core.now() or 1
    local done = group:step(min(left, 1))
    if not done and left <= 0 then return wait(job, { timeout = 0 }) end
  until done
  progress(job)
  return wait(job, timeout and { timeout = 0 })
end

function job_methods.on_done(job, fn)
  if type(fn) ~= "function" then
    refuse("on_done takes a function", "write job:on_done(function(clip, err) … end)")
  end
  return spawn(function()
    local ok, value = pcall(wait, job)
    if ok then return fn(value) end
    return fn(nil, value)
  end)
end

if not own_interpreter then return end

-- Why a file does not compile, with its line.
local open, loadfile = io and io.open, loadfile
local function explained(message, path)
  local file <close> = open and path and open(path)
  return file and core.explain(message, file:read "a") or message
end

if loadfile then -- a safe script has none
  function _ENV.loadfile(path, ...)
    local chunk, why = loadfile(path, ...)
    if chunk then return chunk end
    return nil, explained(why, path)
  end

  function dofile(path) -- luacheck: globals dofile
    local chunk, why = loadfile(path)
    if not chunk then error(explained(why, path), 2) end
    return chunk()
  end
end

-- As the stock one (same searchers, messages and results), but module bodies may wait.
-- Which task loads a module, and which module a task waits for.
local package, loading, wanted = package, {}, {}
function require(name) -- luacheck: globals require
  if type(name) == "number" then name = tostring(name) end
  if type(name) ~= "string" then
    error(
      ("bad argument #1 to 'require' (string expected, got %s)"):format(
        name == nil and "no value" or type(name)
      ),
      2
    )
  end
  local loaded = package.loaded
  while true do
    if loaded[name] then return loaded[name] end
    local waiting, me = loading[name], core.here()
    wanted[me] = nil
    if not waiting then break end
    local by = waiting
    while by do
      if by.task == me then
        local text = "module '%s' is not loaded yet: what it requires cannot require it"
        error(text:format(name), 2)
      end
      by = loading[wanted[by.task]]
    end
    local signal = core.group()
    waiting[#waiting + 1], wanted[me] = signal, name
    signal:step(3600) -- another task is loading it
  end
  if type(package.searchers) ~= "table" then error("'package.searchers' must be a table", 2) end
  local tried = {}
  for i = 1, huge do
    local searcher = package.searchers[i]
    if searcher == nil then error(("module '%s' not found:%s"):format(name, concat(tried)), 2) end
    local ok, loader, data = pcall(searcher, name)
    if not ok then
      if type(loader) ~= "string" then error(loader, 2) end
      error(explained(loader:match "\n\t(.*)" or loader, loader:match "from file '(.-)'"), 2)
    end
    if type(loader) == "function" then
      local value
      do
        local waiting = { task = core.here() }
        local _ <close> = setmetatable({}, {
          __close = function()
            loading[name] = nil
            for _, signal in ipairs(waiting) do
              signal:set()
            end
          end,
        })
        loading[name] = waiting
        value = loader(name, data)
      end
      if value ~= nil then loaded[name] = value end
      if loaded[name] == nil then loaded[name] = true end
      return loaded[name], data
    elseif type(loader) == "string" then
      tried[#tried + 1] = "\n\t" .. loader
    end
  end
end
