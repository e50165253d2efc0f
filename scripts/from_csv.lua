-- One clip for each row of a table. Rows that are refused or fail are listed; the others go on.
--   kling run --sim scripts/from_csv.lua [FILE.csv]
-- The first row names fields of text2video, and `file`: where the clip goes.
local kling = require "kling"

local path = arg[1] or (arg[0]:match("^.*/") or "") .. "from_csv.csv"
local rows = kling.csv(path)

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
