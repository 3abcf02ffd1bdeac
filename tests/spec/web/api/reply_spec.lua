-- Tests scripts/kadenza/web/api/reply.lua, and its table in docs/http-api.md.

local core = require("kadenza.core")
local reply = require("kadenza.web.api.reply")

describe("a failure of the node", function()
  it("has a status, whatever its code", function()
    for code in pairs(core.errors) do
      local status = reply.STATUSES[code]
      assert.equal("integer", math.type(status), code)
      assert.is_true(status >= 400 and status < 600, code)
    end
    for code in pairs(reply.STATUSES) do
      assert.is_string(core.errors[code], code)
    end
  end)

  it("has the status of the error that another node sent", function()
    for number, status in pairs({ [201] = 422, [202] = 502, [203] = 502,
      [204] = 404, [205] = 413, [206] = 422, [207] = 413, [301] = 409,
      [302] = 409, [999] = 502 }) do
      local response = reply.failure("no", "KAD_EREMOTE", { krpc = number })
      assert.equal(status, response.status, number)
      assert.same({ code = "KAD_EREMOTE", message = "no", krpc = number },
        response.json.error)
    end
    assert.equal(502, reply.failure("no", "KAD_EREMOTE").status)
    assert.equal(500, reply.failure("no", "KAD_UNKNOWN").status)
  end)

  it("says when to try again what is too much now", function()
    assert.equal("1", reply.failure("no", "KAD_EBUSY").headers["Retry-After"])
    assert.equal("1", reply.failure("no", "KAD_EQUOTA").headers["Retry-After"])
    assert.is_nil(reply.failure("no", "KAD_ENOTFOUND").headers)
  end)

  it("shows no bytes that a terminal would obey", function()
    assert.equal("a\\x1b[2J\\xff", reply.failure("a\27[2J\255",
      "KAD_EREFUSED").json.error.message)
  end)
end)

-- Returns the rows of the table: status → text.
local function read_rows()
  local rows = {}
  for line in io.lines("docs/http-api.md") do
    local statuses, text = line:match("^| ([%d, ]+) | (.*) |$")
    for status in (statuses or ""):gmatch("%d+") do
      rows[tonumber(status)] = text
    end
  end
  return rows
end

describe("docs/http-api.md", function()
  it("has the status of every code", function()
    local rows = read_rows()
    for code, status in pairs(reply.STATUSES) do
      assert.matches("`" .. code .. "`", rows[status] or "", 1, true)
    end
    for number, status in pairs(reply.REMOTE_STATUSES) do
      assert.matches("krpc` [%d or]*" .. number, rows[status] or "")
    end
  end)

  it("has no code at another status", function()
    for status, text in pairs(read_rows()) do
      for code in text:gmatch("KAD_E%u+") do
        assert.is_true(reply.STATUSES[code] == status
          or code == "KAD_EREMOTE", code .. " " .. status)
      end
    end
  end)
end)
