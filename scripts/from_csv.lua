-- One clip for each row of a table. Rows that are refused or fail are listed; the others go on.
--   kling run --sim scripts/from_csv.lua [FILE.csv]
-- The first row names fields of text2video, and `file`: where the clip goes.
local kling = require "kling"

-- Cells end at commas; one in quotes may hold commas, and "" for a quote.
local function cells(line)
  local list, at = {}, 1
  while at <= #line + 1 do
    local pieces, piece = {}, nil
    while line:sub(at, at) == '"' do
      piece, at = line:match('^"([^"]*)"()', at)
      pieces[#pieces + 1] = assert(piece, "a quote is not closed: " .. line)
    end
    if not piece then
      pieces[1], at = line:match("^([^,]*)()", at)
    end
    list[#list + 1] = table.concat(pieces, '"')
    at = at + 1
  end
  return list
end

local path = arg[1] or (arg[0]:match("^.*/") or "") .. "from_csv.csv"
local names, rows
for line in io.lines(path) do
  line = line:gsub("\r$", "")
  if not names then
    line = line:gsub("^\239\187\191", "") -- the mark that spreadsheets write first
    assert(not line:find("[\0\255]"), path .. " is text in UTF-16: save it as CSV UTF-8")
    names, rows = cells(line), {}
  elseif line ~= "" then
    local row = {}
    for i, cell in ipairs(cells(line)) do
      if cell ~= "" then row[names[i]] = cell end
    end
    rows[#rows + 1] = row
  end
end

local failures = {}
kling.map(rows, function(row, number)
  local file = row.file or number .. ".mp4"
  row.file = nil
  local ok, err = pcall(function() kling.text2video(row):wait():save("out/from_csv/" .. file) end)
  if not ok then failures[#failures + 1] = "row " .. number .. ": " .. tostring(err) end
end, { limit = 4 })

print(#rows - #failures .. " of " .. #rows .. " clips are in out/from_csv/")
table.sort(failures)
for _, failure in ipairs(failures) do
  print(failure)
end
