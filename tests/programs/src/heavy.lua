-- SPDX-License-Identifier: MIT
-- Copyright (c) 2026 The Cairn authors
-- heavy.lua: tables, closures, strings, coroutines and both collectors of Lua, with a checksum line per part.

local state = 12345
local function random(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n
end

local function checksum(text)
  local sum = 5381
  for i = 1, #text do sum = (sum * 33 + text:byte(i)) % 4294967296 end
  return sum
end

local function tree(depth)
  if depth == 0 then return { value = random(1000) } end
  return { left = tree(depth - 1), right = tree(depth - 1), name = ("n"):rep(random(60)) }
end

local function weigh(node)
  if node.value then return node.value end
  return weigh(node.left) + weigh(node.right) + #node.name
end

for _, mode in ipairs { "incremental", "generational" } do
  collectgarbage(mode)
  local sum = 0
  for round = 1, 12 do sum = sum + weigh(tree(13)) end
  print(mode, sum)

  local words, order = {}, {}
  for n = 1, 100000 do
    local word = string.format("%x-%d", random(5000), n % 13)
    if not words[word] then words[word] = {}; order[#order + 1] = word end
    table.insert(words[word], n)
    if #words[word] > 20 then words[word] = {} end
  end
  local parts = {}
  for i, word in ipairs(order) do parts[i] = word .. "=" .. table.concat(words[word], ",") end
  print("words", #order, checksum(table.concat(parts, ";"):sub(1, 200000)))

  local function producer(n)
    return coroutine.wrap(function() for i = 1, n do coroutine.yield(("c"):rep(i % 50) .. i) end end)
  end
  local total = 0
  for i = 1, 3000 do for text in producer(i % 9) do total = total + #text end end
  print("coroutines", total)

  local finalised = 0
  for i = 1, 20000 do setmetatable({}, { __gc = function() finalised = finalised + 1 end }) end
  collectgarbage()
  collectgarbage()
  print("finalised", finalised)

  local text = ("pool block arena "):rep(20000)
  local swapped, count = text:gsub("(%w+) (%w+)", "%2 %1")
  print("gsub", count, checksum(swapped:sub(1, 100000)))
end
