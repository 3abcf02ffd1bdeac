local blobs = require("tests.spec.support.blob")
local tree = require("kadenza.blob.tree")

-- Returns the chunks of a tree by their keys.
local function by_key(chunks)
  local map = {}
  for _, chunk in ipairs(chunks) do
    map[chunk.key] = chunk.value
  end
  return map
end

-- Reads a part of a tree; calls `visit` for each of its chunks. Returns its
-- data, or nil if a chunk is malformed or missing.
local function read(map, key, level, length, visit)
  local value = map[key]
  visit()
  if not value then
    return nil
  elseif level == 0 then
    return tree.data_of(value, length)
  end
  local pieces = {}
  for i, part in ipairs(tree.parts_of(value, #key, level, length) or {}) do
    pieces[i] = read(map, part.key, level - 1, part.length, visit)
    if not pieces[i] then
      return nil
    end
  end
  return pieces[1] and table.concat(pieces)
end

-- Reads a whole tree. Returns its data or nil, the number of chunks read and
-- the largest number allowed.
local function read_all(map, root)
  local visits = 0
  local level, length = tree.read_root(map[root], #root)
  if not level then
    return nil, 1, 1
  end
  local data = read(map, root, level, length, function()
    visits = visits + 1
  end)
  local most, chunks = 1, (length + tree.DATA - 1) // tree.DATA
  for _ = 1, level do
    most, chunks = most + chunks, (chunks + 29) // 30
  end
  return data, visits, most
end

describe("the tree of a blob", function()
  for _, size in ipairs({ 20, 32 }) do
    it("contains the bytes that it was made of, keys of " .. size,
      function()
        for _, count in ipairs({
          0, 1, 999, 1000, 29970, 29971, 48951, 48952, 100000, 899100, 899101,
        }) do
          local bytes = blobs.bytes_of(count)
          local chunks, root = tree.build(bytes, size)

          assert.equal(root, chunks[#chunks].key)
          assert.is_true(bytes == read_all(by_key(chunks), root))
        end
      end)
  end

  it("has different chunks of at most 1000 bytes", function()
    local chunks = tree.build(blobs.bytes_of(60000), 20)
    local seen = {}

    for _, chunk in ipairs(chunks) do
      assert.is_true(#chunk.value <= tree.MAX_CHUNK)
      assert.equal(tree.key_of(chunk.value, 20), chunk.key)
      assert.is_nil(seen[chunk.key])
      seen[chunk.key] = true
    end
  end)

  it("pauses while it is built", function()
    local pauses = 0

    tree.build(blobs.bytes_of(999 * 1600), 20, function()
      pauses = pauses + 1
    end)

    assert.equal(3, pauses)
  end)

  it("never needs more chunks than its root allows, whatever is changed",
    function()
      math.randomseed(7)
      local wrong = 0
      for _ = 1, 2000 do
        local bytes = blobs.bytes_of(math.random(0, 60000))
        local chunks, root = tree.build(bytes, 32)
        local map = by_key(chunks)
        local victim = chunks[math.random(math.max(1, #chunks - 3), #chunks)]
        local place = math.random(math.min(40, #victim.value))
        local value = victim.value
        map[victim.key] = value:sub(1, place - 1)
          .. string.char(math.random(0, 255)) .. value:sub(place + 1)
        if math.random(4) == 1 then
          map[victim.key] = value:sub(1, math.random(0, #value))
        end

        local data, visits, most = read_all(map, root)

        assert.is_true(visits <= most)
        wrong = wrong + (data ~= bytes and 1 or 0)
      end
      assert.is_true(wrong > 1000)
    end)
end)
