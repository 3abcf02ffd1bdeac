local log_ring = require("kadenza.web.log_ring")

local function event(message, fields)
  return { level = "warn", message = message, fields = fields or {} }
end

local function texts(lines)
  local list = {}
  for i, line in ipairs(lines) do
    list[i] = line.text
  end
  return list
end

describe("kadenza.web.log_ring", function()
  it("keeps the lines of events", function()
    local ring = log_ring.new()
    assert.same({}, ring:after(0))
    ring:add(event("joined", { contacts = 3 }), 1700000000)
    ring:add(event("left"), 1700000001)
    assert.same({ { id = 1, level = "warn",
      text = "2023-11-14T22:13:20Z warn joined contacts=3" },
      { id = 2, level = "warn", text = "2023-11-14T22:13:21Z warn left" } },
      ring:after(0))
    assert.same({ "2023-11-14T22:13:21Z warn left" }, texts(ring:after(1)))
    assert.same({}, ring:after(2))
    assert.same({}, ring:after(99))
  end)

  it("keeps the latest lines only", function()
    local ring = log_ring.new()
    for i = 1, 1000 do
      ring:add(event("line " .. i), 0)
    end
    local lines = ring:after(0)
    assert.equal(log_ring.LINES, #lines)
    assert.matches("line 701$", lines[1].text)
    assert.matches("line 1000$", lines[#lines].text)
    assert.equal(1000, ring.last)
    assert.equal(2, #ring:after(998))
  end)

  it("cuts long lines between two characters", function()
    local ring = log_ring.new()
    for length = 0, 3 do
      ring:add(event(("x"):rep(length) .. ("é"):rep(5000)), 0)
    end
    for _, line in ipairs(ring:after(0)) do
      assert.is_true(#line.text <= log_ring.LINE_BYTES)
      assert.is_true(#line.text > log_ring.LINE_BYTES - 4)
      assert.is_truthy(utf8.len(line.text))
      assert.matches("é…$", line.text)
    end
  end)

  it("has no control characters", function()
    local ring = log_ring.new()
    ring:add(event("a\n\27[2Jb", { ["x\r"] = "\u{202e}\0" }), 0)
    assert.equal('1970-01-01T00:00:00Z warn message="a\\n\\u001b[2Jb" '
      .. 'x%0d="\\u202e\\u0000"', ring:after(0)[1].text)
  end)

  it("tells those that watch, until they stop", function()
    local ring, seen = log_ring.new(), {}
    local stop = ring:watch(function(line)
      seen[#seen + 1] = line.id
    end)
    ring:add(event("a"), 0)
    ring:add(event("b"), 0)
    stop()
    ring:add(event("c"), 0)
    assert.same({ 1, 2 }, seen)
  end)
end)
