-- A mask for the motion brush: black, with one white rectangle, as the bytes of a PNG.
-- `mask(width, height, { x, y, width, height })` in pixels from the top left.
local crc_of = {}
for byte = 0, 255 do
  local crc = byte
  for _ = 1, 8 do
    crc = crc & 1 == 1 and 0xedb88320 ~ (crc >> 1) or crc >> 1
  end
  crc_of[byte] = crc
end

local function chunk(name, data)
  local crc = 0xffffffff
  for at = 1, #name + #data do
    local byte = at <= #name and name:byte(at) or data:byte(at - #name)
    crc = crc_of[(crc ~ byte) & 0xff] ~ (crc >> 8)
  end
  return string.pack(">I4", #data) .. name .. data .. string.pack(">I4", crc ~ 0xffffffff)
end

-- The pixels go into zlib's form as they are: blocks of at most 65535 bytes, not compressed.
local function stored(data)
  local blocks, a, b = { "\x78\x01" }, 1, 0
  for at = 1, #data, 65535 do
    local block = data:sub(at, at + 65534)
    local last = at + 65535 > #data and 1 or 0
    blocks[#blocks + 1] = string.pack("<BI2I2", last, #block, ~#block & 0xffff) .. block
  end
  for at = 1, #data do
    a = (a + data:byte(at)) % 65521
    b = (b + a) % 65521
  end
  return table.concat(blocks) .. string.pack(">I4", b << 16 | a)
end

return function(width, height, area)
  local left, right = area.x // 1 | 0, (area.x + area.width) // 1 | 0
  local top, bottom = area.y // 1 | 0, (area.y + area.height) // 1 | 0
  local plain = "\0" .. ("\0"):rep(width)
  local marked = "\0" .. ("\0"):rep(left) .. ("\xff"):rep(right - left) .. ("\0"):rep(width - right)
  local rows = plain:rep(top) .. marked:rep(bottom - top) .. plain:rep(height - bottom)
  return "\x89PNG\r\n\x1a\n"
    .. chunk("IHDR", string.pack(">I4I4BBBBB", width, height, 8, 0, 0, 0, 0))
    .. chunk("IDAT", stored(rows))
    .. chunk("IEND", "")
end
