-- Values as text that can be pasted back: keys sorted, strings escaped; what cannot be said in Lua,
-- cycles and what is too much stand in comments. Raw: no metamethod of the user's is run.
local repl, _, kling = ...

local type, next, rawget, rawequal, pcall, tostring = type, next, rawget, rawequal, pcall, tostring
local format, concat, sort, math_type = string.format, table.concat, table.sort, math.type
local raw_metatable, utf8_len = debug.getmetatable, utf8.len
local gsub, sub, find, byte, rep = string.gsub, string.sub, string.find, string.byte, string.rep
local match = string.match

local MOST_DEPTH, MOST_ITEMS, MOST_KEYS = 8, 100, 10000
local MOST_BYTES, MOST_STRING, LINE = 20000, 2000, 76

local keywords = {}
repl.keywords = keywords
for word in
  ([[and break do else elseif end false for function goto if in local nil not or repeat return then
  true until while]]):gmatch "%a+"
do
  keywords[word] = true
end

local ESCAPES = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape_bytes(bytes)
  return (gsub(bytes, ".", function(c) return format("\\%03d", byte(c)) end))
end

local function quote(text)
  local cut = ""
  if #text > MOST_STRING then
    local stop = MOST_STRING
    while stop > MOST_STRING - 4 and find(sub(text, stop + 1, stop + 1), "[\x80-\xBF]") do
      stop = stop - 1
    end
    cut = format(" --[[%d bytes more]]", #text - stop)
    text = sub(text, 1, stop)
  end
  text = gsub(text, '[%c"\\]', function(c) return ESCAPES[c] or escape_bytes(c) end)
  text = gsub(text, utf8_len(text) and "\xC2[\x80-\x9F]" or "[\x80-\xFF]+", escape_bytes)
  return '"' .. text .. '"' .. cut
end

local function number(value)
  if math_type(value) == "integer" then
    return value == math.mininteger and "math.mininteger" or format("%d", value)
  end
  if value ~= value then return "0/0" end
  if value == 1 / 0 then return "math.huge" end
  if value == -1 / 0 then return "-math.huge" end
  local text = format("%.14g", value)
  if tonumber(text) ~= value then text = format("%.17g", value) end
  return find(text, "[.e]") and text or text .. ".0"
end

local function comment(text) return "--[[" .. gsub(text, "%]%]", "] ]") .. "]]" end

-- The class of one of the module's values, "kling.Job"; nil for others.
local function class_of(value)
  local meta = type(value) == "userdata" and raw_metatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and find(name, "^kling%.") and name or nil
end
repl.class_of = class_of

-- The name of one of the module's functions: "kling.all".
local function name_of(fn)
  for name, value in next, kling do
    if rawequal(value, fn) then return "kling." .. name end
  end
end
repl.name_of = name_of

-- What has no literal: an expression that gives it again, else nil; and what it is, in words.
local function opaque(value)
  if rawequal(value, rawget(kling, "null")) then return "kling.null" end
  local class = class_of(value)
  if class == "kling.Job" then
    local ok, handle = pcall(function() return value.handle end)
    if ok then return format("kling.job(%s)", quote(handle)), value.state end
  elseif class == "kling.Clip" then
    local ok, job = pcall(function() return value.job end)
    local facts = match(tostring(value), ",.*") or "" -- its length and path
    if ok and job then return format("kling.job(%s):wait()", quote(job.handle)), "clip" .. facts end
  elseif type(value) == "function" then
    local name = name_of(value)
    if name then return name end
  end
  if class then return nil, tostring(value) end
  return nil, format("%s: %p", type(value), value)
end

local function literal(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "number" then return number(value) end
  if kind == "nil" or kind == "boolean" then return tostring(value) end
  local text, what = opaque(value)
  return (text or "nil") .. (what and " " .. comment(what) or "")
end

local RANK = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local rank_a, rank_b = RANK[type(a)], RANK[type(b)]
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a == 3 then return a and not b end
  return a < b
end

local function key_text(key)
  if type(key) == "string" and find(key, "^[%a_][%w_]*$") and not keywords[key] then return key end
  return "[" .. literal(key) .. "]"
end

local value_text

local function table_text(value, depth, budget)
  if budget.open[value] then return "nil --[[cycle]]" end
  if next(value) == nil then return "{}" end
  if depth > MOST_DEPTH then return "{ --[[deeper]] }" end
  budget.open[value] = true
  local parts, width, left_out = {}, 0, 0
  local function put(before_value, key)
    if #parts >= MOST_ITEMS or budget.bytes <= 0 then
      left_out = left_out + 1
      return
    end
    local text = before_value .. value_text(rawget(value, key), depth + 1, budget)
    parts[#parts + 1] = text
    width = width + #text + 2
    budget.bytes = budget.bytes - #text
  end

  local count = 0
  while rawget(value, count + 1) ~= nil do
    count = count + 1
    put("", count)
  end
  local keys, odd = {}, 0
  for key in next, value do
    local in_list = math_type(key) == "integer" and key >= 1 and key <= count
    if not in_list and not RANK[type(key)] then
      odd = odd + 1
    elseif not in_list and #keys < MOST_KEYS then
      keys[#keys + 1] = key
    elseif not in_list then
      left_out = left_out + 1
    end
  end
  sort(keys, before)
  for _, key in next, keys do
    put(key_text(key) .. " = ", key)
  end
  local comments = {}
  if odd > 0 then comments[1] = format("--[[%d with other keys]]", odd) end
  if left_out > 0 then comments[#comments + 1] = format("--[[%d more]]", left_out) end
  budget.open[value] = nil
  local rest = concat(comments, " ")
  local text = concat(parts, ", ")
  local indent = rep("  ", depth)
  if width + #rest + #indent <= LINE and not find(text, "\n", 1, true) then
    return "{ " .. text .. (#comments > 0 and (#parts > 0 and ", " or "") .. rest or "") .. " }"
  end
  if #comments > 0 then rest = "\n" .. indent .. "  " .. rest end
  text = concat(parts, ",\n" .. indent .. "  ")
  return format("{\n%s  %s,%s\n%s}", indent, text, rest, indent)
end

function value_text(value, depth, budget)
  if type(value) == "table" then return table_text(value, depth, budget) end
  return literal(value)
end

-- The values of an input as its answer shows them.
function repl.show(values)
  local texts, lines = {}, false
  for i = 1, values.n do
    local value = values[i]
    local expression, what = nil, nil
    if type(value) == "function" or type(value) == "userdata" or type(value) == "thread" then
      expression, what = opaque(value)
    end
    if what and not expression then
      texts[i] = what
    else
      texts[i] = value_text(value, 0, { bytes = MOST_BYTES, open = {} })
    end
    lines = lines or find(texts[i], "\n", 1, true)
  end
  return concat(texts, lines and ",\n" or ", ")
end
