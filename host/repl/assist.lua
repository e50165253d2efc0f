-- Completion and help, both from the endpoint table and the manual. Completion walks tables raw: it
-- calls nothing of the user's and runs no __index.
local repl, host, kling, reference = ...

local type, ipairs, pairs, next, rawget, rawequal = type, ipairs, pairs, next, rawget, rawequal
local insert, concat, sort, min = table.insert, table.concat, table.sort, math.min
local find, gmatch, match, sub, rep = string.find, string.gmatch, string.match, string.sub, string.rep
local raw_metatable, get_upvalue, get_info = debug.getmetatable, debug.getupvalue, debug.getinfo
local globals = _G

local endpoints, manual = reference.endpoints, reference.manual
local classes = manual.values_of

local function named(list, name)
  for _, row in ipairs(list) do
    if row.name == name or row.name == name .. "?" then return row end
    for _, alias in ipairs(row.aliases or {}) do
      if alias == name then return row end
    end
  end
end

local function function_of(name)
  local found = named(manual.functions, name)
  for _, class in ipairs(classes) do
    found = found or named(class.methods, name)
  end
  return found
end

-- The fields of the table that a function takes: of its endpoint, or the options of the manual.
local function fields_of(callee)
  local name = match(callee or "", "[%a_][%w_]*$")
  local endpoint = name and named(endpoints, name)
  if endpoint then return endpoint.params, named(manual.options, "kling.RequestOptions").fields end
  for _, param in ipairs((name and function_of(name) or { params = {} }).params) do
    local options = named(manual.options, param.type)
    if options then return options.fields, {} end
  end
end

-- ---- Completion ----

-- The brackets that are open at the end of the text, each with what stands before it and the key it
-- is at; and the string that is open, or nil. Nothing inside of comments.
local function context(text)
  local open, at = {}, 1
  while at <= #text do
    local top = open[#open]
    local c = sub(text, at, at)
    local level = match(text, "^%-%-%[(=*)%[", at) or match(text, "^%[(=*)%[", at)
    local name = match(text, "^[%a_][%w_]*", at)
    if level then
      local _, stop = find(text, "]" .. level .. "]", at, true)
      if not stop then return nil end
      at = stop + 1
    elseif sub(text, at, at + 1) == "--" then
      at = find(text, "\n", at, true)
      if not at then return nil end
    elseif c == '"' or c == "'" then
      local stop = at + 1
      while stop <= #text and sub(text, stop, stop) ~= c do
        stop = stop + (sub(text, stop, stop) == "\\" and 2 or 1)
      end
      if stop > #text then return open, { quote = c, text = sub(text, at + 1) } end
      at = stop + 1
    elseif name then
      at = at + #name
      if top and match(text, "^%s*=[^=]", at) or top and match(text, "^%s*=$", at) then
        top.key, top.given[name] = name, true
      end
    else
      if c == "{" or c == "(" then
        local callee = match(sub(text, 1, at - 1), "([%a_][%w_.:]*)%s*$")
        if c == "{" and not callee and top and top.bracket == "(" then callee = top.callee end
        insert(open, { bracket = c, callee = callee, given = {} })
      elseif c == "}" or c == ")" then
        open[#open] = nil
      elseif top and (c == "," or c == ";") then
        top.key = nil
      end
      at = at + 1
    end
  end
  return open
end

-- The fields known inside the innermost brace: of the request, then its options.
local function fields_at(open)
  local fields, options, key
  for _, frame in ipairs(open) do
    if frame.bracket == "{" then
      local own, own_options = fields_of(frame.callee)
      if own and not key then
        fields, options = own, own_options
      elseif key then
        local field = fields and named(fields, key)
        fields, options = field and field.children, {}
      end
      key = frame.key
    end
  end
  return fields, options
end

-- Where the words of a value end: its methods are in the first upvalue of our classes' __index.
local function index_of(value)
  local meta = raw_metatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  if type(index) == "function" and get_info(index, "S").what == "C" then
    local _, methods = get_upvalue(index, 1)
    return methods
  end
  return index
end

local MOST_LEVELS, MOST_NAMES = 10, 1000

local function raw_get(value, name)
  for _ = 1, MOST_LEVELS do
    local found = type(value) == "table" and rawget(value, name)
    if found ~= nil and found ~= false then return found end
    value = index_of(value)
    if type(value) ~= "table" then return nil end
  end
end

local function add_names(names, value, only_functions)
  local class = repl.class_of(value)
  local fields = class and not only_functions and named(classes, class)
  for _, field in ipairs(fields and fields.fields or {}) do
    names[match(field.name, "[%w_]+")] = true
  end
  local count = 0
  for _ = 1, MOST_LEVELS do
    if type(value) == "table" then
      for key, held in next, value do
        count = count + 1
        if count > MOST_NAMES then return end
        local is_name = type(key) == "string" and find(key, "^[%a_][%w_]*$") and not repl.keywords[key]
        if is_name and (type(held) == "function" or not only_functions) then names[key] = true end
      end
    end
    value = index_of(value)
    if type(value) ~= "table" then return end
  end
end

local function starting_with(names, start)
  local list = {}
  for name in pairs(names) do
    if sub(name, 1, #start) == start then insert(list, name) end
  end
  sort(list, function(a, b)
    local one, other = names[a], names[b]
    if one ~= other and type(one) == "number" and type(other) == "number" then return one < other end
    return a < b
  end)
  return list
end

-- What few need: proposed last.
local PLUMBING = {}
for word in ("callback_url external_task_id extra lost patience poll strict"):gmatch "%S+" do
  PLUMBING[word] = true
end

local function complete_string(open, string)
  local fields = fields_at(open)
  local frame = open[#open]
  local field = fields and frame.key and named(fields, frame.key)
  if field and field.values and #field.values > 0 then
    local values = {}
    for _, value in ipairs(field.values) do
      values[value .. string.quote] = true
    end
    return #string.text, starting_with(values, string.text)
  end
  -- In a list of pictures the strings stand alone.
  local is_media = not field or field.type == "image" or field.type == "video" or field.type == "list"
  if fields and not is_media then return 0, {} end
  return #string.text, host.files(string.text)
end

-- What may follow the text: how many bytes at its end are replaced, and by what.
function repl.complete(text)
  local path = match(text, "^%s*%.load%s+(.*)$") or match(text, "^%s*%.save%s+(.*)$")
  if path then return #path, host.files(path) end
  local start = match(text, "^%s*(%.%a*)$")
  if start then
    local names = {}
    for _, row in ipairs(repl.commands) do
      names["." .. row[1]] = true
    end
    return #start, starting_with(names, start)
  end
  if #text > 20000 then return 0, {} end
  local open, string = context(text)
  if not open then return 0, {} end
  if string then return complete_string(open, string) end

  local chain = match(text, "[%a_][%w_.:]*$") or ""
  local names, word = {}, match(chain, "[%w_]*$")
  local frame = open[#open]
  if frame and frame.bracket == "{" and not frame.key and chain == word then
    local fields, options = fields_at(open)
    local rank = 0 -- the order of the reference
    for _, list in ipairs { fields or {}, options or {} } do
      for _, field in ipairs(list) do
        local name = match(field.name, "[%w_]+")
        rank = rank + 1
        if not frame.given[name] then names[name .. " = "] = rank + (PLUMBING[name] and 1000 or 0) end
      end
    end
    if next(names) then return #word, starting_with(names, word) end
  end
  if frame and frame.bracket == "{" and frame.key and find(text, "=%s*$") then
    local fields = fields_at(open)
    local field = fields and named(fields, frame.key)
    for _, value in ipairs(field and field.values or {}) do
      names['"' .. value .. '"'] = true
    end
    return 0, starting_with(names, "")
  end
  if chain == word then
    if match(sub(text, 1, -#word - 1), "[%w_%]%)}\"'][.:]$") then return 0, {} end
    add_names(names, globals)
    for name in repl.locals() do
      names[name] = true
    end
    for name in pairs(repl.keywords) do
      names[name] = true
    end
    if word == "" then return 0, {} end
    return #word, starting_with(names, word)
  end
  local value
  for name, mark in gmatch(chain, "([%w_]+)([.:])") do
    if value == nil then
      value = repl.local_value(name)
      if value == nil then value = raw_get(globals, name) end
    else
      value = raw_get(value, name)
    end
    if value == nil then return 0, {} end
    names = {}
    add_names(names, value, mark == ":")
  end
  return #word, starting_with(names, word)
end

-- ---- Help ----

local function wrapped(text, indent)
  local lines, line, width = {}, "", min(78, host.columns() - 1)
  for word in gmatch(text, "%S+") do
    if line ~= "" and #line + #word + 1 > width - #indent then
      insert(lines, indent .. line)
      line = ""
    end
    line = line == "" and word or line .. " " .. word
  end
  insert(lines, indent .. line)
  return concat(lines, "\n")
end

local TYPES = {
  ["C[]"] = "list",
  ["V[]"] = "list",
  string = "text",
  seconds = "seconds",
  integer = "whole number",
  object = "table",
  image = "picture",
}

local function kind_of(field)
  local kind = TYPES[field.type] or field.type or ""
  if field.values and #field.values > 0 then kind = concat(field.values, " | ") end
  return kind .. (field.required and ", required" or "")
end

local function padded(text, width) return text .. rep(" ", width - #text) end

local function call_of(fn)
  local names = {}
  for i, param in ipairs(fn.params) do
    names[i] = param.name
  end
  return fn.name .. "(" .. concat(names, ", ") .. ")"
end

-- What something is, and below it what is in it.
local function page(head, doc, ...)
  local lines = { wrapped(head, ""), wrapped(doc, "  ") }
  for _, rows in ipairs { ... } do
    for _, row in ipairs(rows) do
      local first = match(row.doc, "^.-%.%f[%s%z]") or row.doc
      local name, kind = padded(row.params and ":" .. call_of(row) or row.name, 16), kind_of(row)
      local text = wrapped(kind .. (kind ~= "" and first ~= "" and ": " or "") .. first, rep(" ", 19))
      insert(lines, "  " .. name .. (#name > 16 and "\n" .. text or sub(text, 19)))
    end
  end
  return lines
end

local function field_help(name, field)
  local lines = page(name .. ": " .. kind_of(field), field.doc, field.children)
  if field.default ~= "" then insert(lines, 3, "  default: " .. field.default) end
  return lines
end

local function endpoint_help(endpoint)
  local lines = page(("kling.%s { … }"):format(endpoint.name), endpoint.doc, endpoint.params)
  for _, rule in ipairs(endpoint.rules) do
    insert(lines, "  - " .. sub(wrapped(rule, "    "), 5))
  end
  insert(lines, ('help "%s.%s" tells all about a field.'):format(endpoint.name, endpoint.params[1].name))
  return lines
end

local function function_help(fn, before)
  return page(before .. call_of(fn), fn.doc, fn.params, (fields_of(fn.name)))
end

local function overview()
  local lines = { wrapped("kling makes videos; each function returns at once or waits:", "") }
  local names, wide = {}, host.columns() > 60
  for _, endpoint in ipairs(endpoints) do
    local doc = sub(wrapped(endpoint.doc, rep(" ", 23)), 24)
    insert(
      wide and lines or names,
      wide and "  " .. padded(endpoint.name .. "{…}", 22) .. " " .. doc or endpoint.name
    )
  end
  for _, fn in ipairs(manual.functions) do
    insert(names, fn.name)
  end
  insert(lines, wrapped(concat(names, " "), "  "))
  insert(lines, wrapped('help(kling.omni), help "omni.image_list", help "Job"; .help for this session.', ""))
  return lines
end

-- The lines of help on a topic, or nil.
local function find_help(topic)
  local name = match(topic, "^kling%.(.+)$") or topic
  for _, class in ipairs(classes) do
    local short = sub(class.name, 7)
    if name == short then return page(class.name, class.doc, class.fields, class.methods) end
    local method = match(name:lower(), "^" .. short:lower() .. "[.:](.+)$") or name
    local found = named(class.methods, method)
    if found then return function_help(found, short:lower() .. ":") end
  end
  local fn = named(manual.functions, name)
  if fn then return function_help(fn, "kling.") end
  local first, rest = match(name, "^([%w_]+)%.?(.*)$")
  local endpoint = first and named(endpoints, first)
  if not endpoint or rest == "" then return endpoint and endpoint_help(endpoint) end
  local fields, field = endpoint.params, nil
  for part in gmatch(rest, "[%w_]+") do
    field = named(fields, part)
    if not field then return nil end
    fields = field.children
  end
  return field and field_help(name, field)
end

-- Of an option, such as concat's crossfade: which function takes it.
local function option_help(name)
  for _, fn in ipairs(manual.functions) do
    local field = named(fields_of(fn.name) or {}, name)
    if field then return page(("kling.%s: %s: %s"):format(call_of(fn), name, kind_of(field)), field.doc) end
  end
end

function repl.help(topic)
  local lines
  if topic == nil or rawequal(topic, kling) then
    lines = overview()
  elseif type(topic) == "string" then
    lines = find_help(topic)
      or find_help("text2video." .. topic)
      or find_help("omni." .. topic)
      or option_help(topic)
    local held = repl.local_value(topic)
    if held == nil then held = rawget(globals, topic) end
    local class = repl.class_of(held)
    lines = lines or class and find_help(class)
    if not lines then
      local near = host.near(topic)
      lines = { "there is no help on " .. topic .. (near ~= "" and "; did you mean " .. near .. "?" or "") }
    end
  else
    local name = repl.class_of(topic) or type(topic) == "function" and repl.name_of(topic)
    lines = name and find_help(name) or { "help() tells what there is help on" }
  end
  host.write(concat(lines, "\n"))
end
