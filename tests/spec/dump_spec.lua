-- Dumps: what is written and what is read. Also tests bindings/lua/base64.c,
-- bindings/lua/loader.c.

local core = require("kadenza.core")
local dkjson = require("dkjson")
local dump = require("kadenza.dump")
local kad = require("kadenza")

local NOW <const> = 1764500000

local function record(more)
  local made = { key = kad.key("a"), type = "value", value = "v",
    stored_at = NOW - 10, expires_at = NOW + 100 }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

local ALL_BYTES <const> = (function()
  local bytes = {}
  for i = 0, 255 do
    bytes[i + 1] = string.char(i)
  end
  return table.concat(bytes)
end)()

describe("core.base64", function()
  it("encodes what unbase64 decodes", function()
    assert.equal("", core.base64(""))
    assert.equal("Zg==", core.base64("f"))
    assert.equal("Zm9vYmFy", core.base64("foobar"))
    for length = 0, 256 do
      local bytes = ALL_BYTES:sub(1, length)
      assert.equal(bytes, core.unbase64(core.base64(bytes)))
    end
  end)

  it("rejects what is not base64", function()
    for _, text in ipairs({ "Z", "Zg", "Zg=", "Zg===", "Zh==", "Z g==",
      "Zg==\n", "Zm9v!", "-_8=", "\0\0\0\0" }) do
      local bytes, message, code = core.unbase64(text)
      assert.is_nil(bytes)
      assert.equal("not base64", message)
      assert.equal("KAD_EINVAL", code)
    end
  end)
end)

describe("a line of a dump", function()
  local function assert_same_again(made)
    local line = dump.line(made)
    assert.equal("\n", line:sub(-1))
    assert.is_nil(line:sub(1, -2):find("[%c\127]"))
    assert.is_not_nil(utf8.len(line))
    assert.is_table((dkjson.decode(line)))
    assert.same(made, (assert(dump.parse(line:sub(1, -2)))))
  end

  it("has every field", function()
    assert_same_again(record({ publisher = ALL_BYTES:sub(1, 32),
      signature = ALL_BYTES:sub(1, 64), salt = "salt", seq = 7, seed = true,
      origin = "[2001:db8::1]:6881", republish_at = NOW + 5 }))
  end)

  it("has texts as they are, and other bytes in base64", function()
    local values = { "", "text", "\"quoted\\\"", "\u{E4}\u{1F600}", "\0", "\n",
      "\127", "\u{202E}", "\u{FFFD}", "\u{2028}", "</script>", "\255",
      ALL_BYTES, ("\0"):rep(1000), ("\255"):rep(1000), ("\""):rep(1000),
      "%d%s" }
    for _, value in ipairs(values) do
      assert_same_again(record({ value = value, type = value:sub(1, 32),
        salt = #value > 0 and value:sub(1, 64) or nil }))
    end
    assert.matches('"value":"text"', dump.line(record({ value = "text" })), 1,
      true)
    assert.matches('"value_base64":"/w=="', dump.line(record({
      value = "\255" })), 1, true)
  end)

  it("has sequence numbers exactly", function()
    for _, seq in ipairs({ 0, -1, 1 << 53, (1 << 53) + 1, math.maxinteger,
      math.mininteger }) do
      assert_same_again(record({ seq = seq }))
    end
    assert.matches('"seq":"9007199254740993"', dump.line(record({
      seq = (1 << 53) + 1 })), 1, true)
  end)

  it("is shorter than the longest that is read", function()
    local line = dump.line(record({ type = ("\0"):rep(32),
      value = ("\0"):rep(1000), salt = ("\0"):rep(64),
      publisher = ("p"):rep(32), signature = ("s"):rep(64),
      seq = math.mininteger, republish_at = 1 << 53,
      origin = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" }))
    assert.is_true(#line < dump.MAX_LINE)
  end)

  local WRONG <const> = {
    [""] = "not a JSON object",
    ["null"] = "not a JSON object",
    ["[]"] = "not a JSON object",
    ['"text"'] = "not a JSON object",
    ["{"] = "not a JSON object",
    ["{} {}"] = "not a JSON object",
    [("["):rep(16000)] = "not a JSON object",
    [('{"a":'):rep(3000)] = "not a JSON object",
    ["{}"] = "key is missing",
    ['{"key":"zz"}'] = "key is not hexadecimal",
    ['{"key":7}'] = "key is not hexadecimal",
    ['{"key":null}'] = "key is not hexadecimal",
    ['{"key":"00","type":7}'] = "type is not a string",
    ['{"key":"00","type":"t","value_base64":"!"}'] =
      "value_base64 is not base64",
    ['{"key":"00","type":"t","value":"","value_base64":""}'] =
      "value and value_base64",
    ['{"key":"00","type":"t"}'] = "value is missing",
    ['{"key":"00","type":"t","value":""}'] = "stored_at is missing",
    ['{"seq":1.5}'] = "seq is not an integer of 64 bits",
    ['{"seq":"99999999999999999999"}'] = "seq is not an integer of 64 bits",
    ['{"seq":"1e3"}'] = "seq is not an integer of 64 bits",
    ['{"seq":true}'] = "seq is not an integer of 64 bits",
    ['{"stored_at":"now"}'] = "stored_at is not a number of seconds",
    ['{"stored_at":-1}'] = "stored_at is not a number of seconds",
    ['{"stored_at":1.5}'] = "stored_at is not a number of seconds",
    ['{"expires_at":1e300}'] = "expires_at is not a number of seconds",
    ['{"origin":"nowhere"}'] = "origin is not an address",
    ['{"origin":[]}'] = "origin is not an address",
    ['{"seed":1}'] = "seed is not true or false",
    ['{"more":1}'] = "unknown field",
    ['{"key":"00","type":"t","value":"","stored_at":5,"expires_at":4}'] =
      "expires_at is before stored_at",
  }
  it("of the wrong form is refused", function()
    for line, reason in pairs(WRONG) do
      local parsed, problem = dump.parse(line)
      assert.is_nil(parsed)
      assert.equal(reason, problem, line:sub(1, 80))
    end
  end)
end)

describe("the first line of a dump", function()
  it("has the version and the width of the ids", function()
    assert.same({ id_bits = 256 }, dump.parse_header(dump.header(256, NOW)))
  end)

  it("of another file is refused", function()
    for _, line in ipairs({ "", "text", "{}", '{"kadenza":"dump"}',
      '{"kadenza":"end","records":1}',
      '{"kadenza":"dump","version":0,"id_bits":160}',
      '{"kadenza":"dump","version":"1","id_bits":160}' }) do
      local header, problem = dump.parse_header(line)
      assert.is_nil(header)
      assert.equal("not a dump of kadenza", problem)
    end
    assert.is_nil((dump.parse_header(nil)))
  end)

  it("of a newer version says what to do", function()
    local header, problem =
      dump.parse_header('{"kadenza":"dump","version":2,"id_bits":160}')
    assert.is_nil(header)
    assert.equal("a dump of version 2: use a newer kadenza", problem)
  end)
end)

describe("dump.load", function()
  local function load(lines, add)
    local next_line = coroutine.wrap(function()
      for _, line in ipairs(lines) do
        coroutine.yield(line)
      end
    end)
    return dump.load(next_line, NOW, add or function()
      return "added"
    end)
  end
  local LINE <const> = dump.line(record())

  it("counts what became of the records", function()
    local outcomes = { "added", "held", "older", false }
    local i = 0
    local report = load({ LINE, LINE, LINE, LINE, "nonsense",
      dump.line(record({ expires_at = NOW })), false, "", dump.footer(7) },
      function()
        i = i + 1
        return outcomes[i] or nil, "bad signature"
      end)
    assert.same({ records = 7, added = 1, held = 1, older = 1, expired = 1,
      refused = 3, is_whole = true, first = { line = 5,
      reason = "bad signature" }, reasons = { ["bad signature"] = 1,
      ["not a JSON object"] = 1, ["the line is too long"] = 1 } }, report)
  end)

  it("counts records that raise errors", function()
    local report = load({ LINE }, function()
      error("field 'key' must have 20 bytes, not 1", 0)
    end)
    assert.equal(1, report.reasons["field 'key' must have 20 bytes, not 1"])
  end)

  it("tells that the last line is missing or wrong", function()
    assert.is_false(load({ LINE }).is_whole)
    assert.is_false(load({ LINE, dump.footer(2) }).is_whole)
    assert.is_true(load({ LINE, dump.footer(1) }).is_whole)
  end)

  it("bounds lives and the reasons that it remembers", function()
    local latest
    load({ dump.line(record({ expires_at = 1 << 53, stored_at = NOW + 50 })) },
      function(loaded)
        latest = loaded
        return "added"
      end)
    assert.equal(NOW + 2592000, latest.expires_at)
    assert.equal(NOW, latest.stored_at)
    local lines, i = {}, 0
    for number = 1, 300 do
      lines[number] = LINE
    end
    local report = load(lines, function()
      i = i + 1
      return nil, "reason " .. i
    end)
    assert.equal(200, report.reasons.others)
  end)
end)

describe("core.check_record", function()
  it("checks as a node does", function()
    assert.is_true(core.check_record(record(), 160))
    local taken, reason, code = core.check_record(record({
      publisher = ("p"):rep(32), signature = ("s"):rep(64) }), 160)
    assert.is_nil(taken)
    assert.equal("bad signature", reason)
    assert.equal("KAD_ESIGNATURE", code)
    assert.has_error(function()
      core.check_record(record({ key = "short" }), 160)
    end, "field 'key' must have 20 bytes, not 5")
  end)
end)
