-- SPDX-License-Identifier: MIT
-- Copyright (c) 2026 The Cairn authors

-- lua: tables, strings and closures: a word index, object lists, an event queue. First argument: scale in percent.

local scale = tonumber(arg[1] or "100") / 100
local function scaled(full) return math.max(1, math.floor(full * scale)) end

-- A generator of our own: math.random differs between versions of Lua.
local seed = 42
local function below(bound)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed // 65536 % bound
end

local function make_index(count)
  local index = {}
  for place = 1, count do
    local word = "word" .. below(9000)
    local places = index[word]
    if not places then
      places = {}
      index[word] = places
    end
    places[#places + 1] = place
  end
  return index
end

local function make_objects(count)
  local objects = {}
  for number = 1, count do
    local object = {id = number, name = ("object %d"):format(number), position = {x = number / 2, y = -number}}
    object.describe = function() return object.name .. "@" .. object.position.x end
    objects[#objects < 5000 and #objects + 1 or 1 + below(5000)] = object
  end
  return objects
end

local total = 0
for _ = 1, scaled(5) do
  for _, places in pairs(make_index(120000)) do total = total + #places end
  for _, object in ipairs(make_objects(50000)) do total = total + #object.describe() end
  local parts = {}
  for number = 1, 60000 do parts[#parts + 1] = ("%05d;%s"):format(number, ("ab"):rep(number % 20)) end
  for field in table.concat(parts, ","):gmatch("[^,;]+") do total = total + #field end
end
print("lua", total)
