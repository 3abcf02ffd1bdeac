local blob = require("kadenza.blob")
local kad = require("kadenza")
local blobs = require("tests.spec.support.blob")
local tree = require("kadenza.blob.tree")

local bytes_of, same_bytes = blobs.bytes_of, blobs.same_bytes
local count_calls, overlay = blobs.count_calls, blobs.overlay
local put_chunk = blobs.put_chunk

describe("a blob with missing chunks", function()
  -- Puts a blob without some of its chunks; returns the root.
  local function put_without(node, bytes, ...)
    local chunks = tree.build(bytes, 20)
    local stored = {}
    for _, number in ipairs({ ... }) do
      stored[chunks[number].key] = true
    end
    return assert(blob.put(node, bytes, { stored = stored })), chunks
  end

  it("has a list of the missing parts", overlay(function(writer, reader)
    local root, chunks = put_without(writer, bytes_of(4500), 2, 5)

    local got, message, code, details = blob.get(reader, root, { attempts = 1 })

    assert.is_nil(got)
    assert.equal("1503 of 4500 bytes are missing, in 2 parts", message)
    assert.equal("KAD_ENOTFOUND", code)
    assert.equal(4500 - 1503, details.got)
    assert.same({
      { key = chunks[2].key, offset = 999, length = 999, code = code },
      { key = chunks[5].key, offset = 3996, length = 504, code = code },
    }, details.missing)
  end))

  it("misses a whole branch with its chunk", overlay(function(writer, reader)
    local root, chunks = put_without(writer, bytes_of(60000), 62)
    assert.equal(62 + 2, #chunks)

    local _, _, _, details = blob.get(reader, root, { attempts = 1 })

    assert.same({ { key = chunks[62].key, offset = 0, length = 48951,
      code = "KAD_ENOTFOUND" } }, details.missing)
  end))

  it("may miss its root", overlay(function(_, reader)
    local key = kad.key("nothing")

    local got, message, code, details = blob.get(reader, key, { attempts = 1 })

    assert.is_nil(got)
    assert.truthy(message:find("the root of the blob is missing", 1, true))
    assert.equal("KAD_ENOTFOUND", code)
    assert.same({ { key = key, offset = 0, code = code } }, details.missing)
  end))

  it("is given up when too much is missing", overlay(function(writer, reader)
    local numbers = {}
    for i = 1, 101 do
      numbers[i] = i
    end
    local root = put_without(writer, bytes_of(101000), table.unpack(numbers))

    local _, _, _, details = blob.get(reader, root, { attempts = 1 })

    assert.equal(64, #details.missing)
  end))

  it("is completed later, without the chunks that were found",
    overlay(function(writer, reader)
      local bytes, cache = bytes_of(30000), {}
      local root, chunks = put_without(writer, bytes, 7)
      assert.is_nil((blob.get(reader, root, { attempts = 1, cache = cache })))
      put_chunk(writer, chunks[7].value)
      local calls = count_calls(reader, "get")

      same_bytes(bytes, assert(blob.get(reader, root, { cache = cache })))

      assert.equal(1, calls.calls)
    end))
end)

describe("a transfer of a blob", function()
  it("continues after a cancel", overlay(function(writer, reader)
    local bytes, cache = bytes_of(60000), {}
    local root = assert(blob.put(writer, bytes))
    local _, _, code = kad.timeout(0.3, function()
      return blob.get(reader, root, { cache = cache })
    end)
    assert.equal("KAD_ETIMEOUT", code)
    local had = 0
    for _ in pairs(cache) do
      had = had + 1
    end
    assert.is_true(had > 5 and had < 64)
    local calls = count_calls(reader, "get")

    same_bytes(bytes, assert(blob.get(reader, root, { cache = cache })))

    assert.equal(64 - had, calls.calls)
  end, { nodes = 40 }))

  it("gets no cached chunk, but one that is corrupt in the cache",
    overlay(function(writer, reader)
      local bytes, cache = bytes_of(5000), {}
      local root = assert(blob.put(writer, bytes))
      assert(blob.get(reader, root, { cache = cache }))
      local calls = count_calls(reader, "get")

      same_bytes(bytes, assert(blob.get(reader, root, { cache = cache })))
      assert.equal(0, calls.calls)
      local spoilt = next(cache)
      cache[spoilt] = cache[spoilt] .. "!"
      same_bytes(bytes, assert(blob.get(reader, root, { cache = cache })))
      assert.equal(1, calls.calls)
    end))

  it("puts no chunk twice", overlay(function(writer, reader)
    local bytes, stored = bytes_of(20000), {}
    local _, _, code = kad.timeout(1, function()
      return blob.put(writer, bytes, { stored = stored })
    end)
    assert.equal("KAD_ETIMEOUT", code)
    local had = 0
    for _ in pairs(stored) do
      had = had + 1
    end
    assert.is_true(had > 0 and had < 22)
    local calls = count_calls(writer, "put")

    local root = assert(blob.put(writer, bytes, { stored = stored }))

    assert.equal(22 - had, calls.calls)
    same_bytes(bytes, assert(blob.get(reader, root)))
  end))

  it("names the chunk that no node accepts", overlay(function(writer, _, net)
    for i, node in ipairs(net.nodes) do
      if i ~= 2 then
        node:close()
      end
    end
    local stranger = assert(net:open({ read_only = true }))

    local root, message, code, details =
      blob.put(stranger, bytes_of(3000), { attempts = 1 })

    assert.is_nil(root)
    assert.truthy(message:find("0 of 5 chunks are stored", 1, true))
    assert.equal("KAD_ENOCONTACTS", code)
    assert.same({}, details.stored)
    assert.equal(20, #details.key)
    assert.is_true(writer:is_open())
  end))

  it("ends when its node is closed", overlay(function(writer, reader)
    local root = assert(blob.put(writer, bytes_of(60000)))
    local work = kad.spawn(function()
      return blob.get(reader, root)
    end)
    kad.sleep(0.3)
    reader:close()

    local got, _, code = work:await()

    assert.is_nil(got)
    assert.equal("KAD_ECLOSED", code)
  end, { nodes = 40 }))

  it("raises the error of a progress function", overlay(function(writer, reader)
    local root = assert(blob.put(writer, bytes_of(5000)))

    local fine, err = pcall(blob.get, reader, root, {
      on_progress = function()
        error("stop", 0)
      end,
    })

    assert.is_false(fine)
    assert.equal("stop", err)
  end))

  it("raises the error of a cache", overlay(function(writer, reader)
    local root = assert(blob.put(writer, bytes_of(5000)))
    local broken = setmetatable({}, {
      __newindex = function(_, key)
        if key ~= root then
          error("disk full", 0)
        end
      end,
    })

    local fine, err = pcall(blob.get, reader, root, { cache = broken })

    assert.is_false(fine)
    assert.equal("disk full", err)
  end))
end)

describe("a malformed tree", function()
  local function root_of(level, length, ...)
    return string.pack(">BI8", level, length) .. table.concat({ ... })
  end

  -- Puts the root that `make(leaf)` returns, where `leaf` puts a chunk of data;
  -- expects that it is rejected.
  local function refuses(text, make)
    return overlay(function(writer, reader)
      local root = put_chunk(writer, make(function(data)
        return put_chunk(writer, "\0" .. data)
      end))
      local calls = count_calls(reader, "get")

      local got, message, code = blob.get(reader, root)

      assert.is_nil(got)
      assert.truthy(message:find(text, 1, true), message)
      assert.equal("KAD_EMALFORMED", code)
      assert.is_true(calls.calls <= 4)
    end)
  end

  local X <const> = ("x"):rep(999)

  it("has a leaf that is too short", refuses("malformed at byte 0",
    function(leaf)
      return root_of(1, 1998, leaf(X:sub(2)), leaf(X))
    end))

  it("has a last leaf that is too long", refuses("malformed at byte 999",
    function(leaf)
      return root_of(1, 1500, leaf(X), leaf(X))
    end))

  it("has fewer keys than its length requires", refuses("malformed at byte 0",
    function(leaf)
      return root_of(1, 3000, leaf(X), leaf(X))
    end))

  it("has more keys than its length requires", refuses("malformed at byte 0",
    function(leaf)
      return root_of(1, 1001, (leaf(X):rep(49)))
    end))

  it("has a branch in place of a leaf",
    overlay(function(writer, reader)
      local branch = put_chunk(writer, "\1" .. X)
      local root = put_chunk(writer, root_of(1, 1998, branch, branch))

      local _, message, code = blob.get(reader, root)

      assert.equal("the tree is malformed at byte 0", message)
      assert.equal("KAD_EMALFORMED", code)
    end))

  it("has a branch longer than its root allows",
    overlay(function(writer, reader)
      local leaf = put_chunk(writer, "\0" .. X)
      local branch = put_chunk(writer, root_of(1, 48951, leaf:rep(49)))
      local short = put_chunk(writer, root_of(1, 999, leaf))
      local good = put_chunk(writer, root_of(2, 48951 + 999, branch, short))
      local bad = put_chunk(writer, root_of(2, 48951 + 999, branch, branch))

      same_bytes(X:rep(50), (blob.get(reader, good)))
      local _, message, code = blob.get(reader, bad)

      assert.equal("the tree is malformed at byte 48951", message)
      assert.equal("KAD_EMALFORMED", code)
    end))

  for name, value in pairs({
    ["is empty"] = "",
    ["has a level beyond all"] = root_of(7, 1000),
    ["has a cut header"] = "\1\0\0",
    ["has a negative length"] = "\1" .. ("\255"):rep(8) .. ("k"):rep(20),
    ["has less than its level is for"] = root_of(1, 999, ("k"):rep(20)),
    ["has more than its level can hold"] =
      root_of(1, 48952, ("k"):rep(20 * 49)),
    ["is something else"] = "hello, world",
  }) do
    it(name, refuses("not the root of a blob", function()
      return value
    end))
  end
end)

describe("a reader of a blob", function()
  -- Returns all bytes that a reader reads, and the offsets.
  local function drain(reader)
    local parts, offsets = {}, {}
    for data, offset in reader.read, reader do
      parts[#parts + 1], offsets[#offsets + 1] = data, offset
    end
    return table.concat(parts), offsets
  end

  it("reads chunk by chunk", overlay(function(writer, node)
    local bytes = bytes_of(3000)
    local root = assert(blob.put(writer, bytes))

    local reader <close> = assert(blob.open(node, root))
    local read, offsets = drain(reader)

    assert.equal(3000, reader.size)
    same_bytes(bytes, read)
    assert.same({ 0, 999, 1998, 2997 }, offsets)
    assert.is_nil((reader:read()))
  end))

  it("begins at its offset, and fetches nothing before",
    overlay(function(writer, node)
      local bytes = bytes_of(100000)
      local root = assert(blob.put(writer, bytes))
      local calls = count_calls(node, "get")

      for _, offset in ipairs({ 98500, 48951, 99999, 100000, 200000 }) do
        local reader <close> =
          assert(blob.open(node, root, { offset = offset }))
        same_bytes(bytes:sub(offset + 1), (drain(reader)))
        if offset == 98500 then
          assert.equal(2 + 3, calls.calls)
        end
      end
    end))

  it("fetches a bounded number of chunks ahead", overlay(function(writer, node)
    local root = assert(blob.put(writer, bytes_of(100000)))
    local calls = count_calls(node, "get")

    local reader <close> = assert(blob.open(node, root, { parallel = 2 }))
    assert(reader:read())
    kad.sleep(100)

    assert.is_true(calls.calls < 15)
    assert.equal(100000 - 999, #drain(reader))
  end))

  it("continues behind a missing chunk", overlay(function(writer, node)
    local bytes = bytes_of(3500)
    local chunks = tree.build(bytes, 20)
    local root = assert(blob.put(writer, bytes,
      { stored = { [chunks[2].key] = true } }))
    local reader <close> = assert(blob.open(node, root, { attempts = 1 }))
    same_bytes(bytes:sub(1, 999), (reader:read()))

    local data, message, code, details = reader:read()

    assert.is_nil(data)
    assert.truthy(message:find("999 bytes from 999 on are missing", 1, true))
    assert.equal("KAD_ENOTFOUND", code)
    assert.same({ key = chunks[2].key, offset = 999, length = 999 }, details)
    same_bytes(bytes:sub(1999), (drain(reader)))
  end))

  it("fetches nothing after it is closed", overlay(function(writer, node)
    local root = assert(blob.put(writer, bytes_of(60000)))
    local calls = count_calls(node, "get")
    local reader = assert(blob.open(node, root))
    local work = kad.spawn(reader.read, reader)
    kad.sleep(0.001)

    reader:close()
    local before = calls.calls
    kad.sleep(10)

    assert.is_nil((work:await()))
    assert.equal(before, calls.calls)
    assert.is_nil((reader:read()))
    reader:close()
  end, { nodes = 40 }))
end)
