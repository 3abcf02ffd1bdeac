local response = require("kadenza.web.response")

-- Returns the headers of a list by name.
local function by_name(list)
  local headers = {}
  for i = 1, #list, 2 do
    local name, value = list[i], list[i + 1]
    headers[name] = headers[name] and headers[name] .. "|" .. value or value
  end
  return headers
end

describe("kadenza.web.response", function()
  it("encodes JSON, and forbids caches and guesses of the type", function()
    local status, headers, body = response.encode({ json = { a = 1 } })

    assert.equal(200, status)
    assert.equal('{"a":1}\n', body)
    assert.same({ ["Content-Type"] = "application/json",
      ["Cache-Control"] = "no-store", ["X-Content-Type-Options"] = "nosniff" },
      by_name(headers))
  end)

  it("keeps the headers of a handler, in any case", function()
    local _, headers = response.encode({ body = "x", headers = {
      ["cache-control"] = "max-age=60", ["CONTENT-TYPE"] = "text/html",
      Link = { "</a>", "</b>" }, ["X-Count"] = 3 } })

    assert.same({ ["cache-control"] = "max-age=60",
      ["CONTENT-TYPE"] = "text/html", Link = "</a>|</b>", ["X-Count"] = "3",
      ["X-Content-Type-Options"] = "nosniff" }, by_name(headers))
  end)

  it("names no type for an empty body", function()
    local status, headers, body = response.encode({ status = 204 })

    assert.equal(204, status)
    assert.equal("", body)
    assert.is_nil(by_name(headers)["Content-Type"])
  end)

  it("raises for what is no response", function()
    for _, wrong in ipairs({ 1, "text", { status = 99 }, { status = "200" },
      { status = 600 }, { body = {} }, { headers = { "a" } },
      { headers = { ["Content-Length"] = "1" } },
      { headers = { connection = "close" } } }) do
      assert.has_error(function()
        response.encode(wrong)
      end)
    end
    assert.has_error(function()
      response.encode(nil)
    end, "a handler must return a response, not nil")
  end)

  it("is encoded once if its handler keeps it", function()
    local kept = { status = 200, headers = { ETag = '"a"' }, body = "x",
      is_kept = true }
    local _, first = response.encode(kept)
    kept.headers.ETag = '"b"'
    local status, second, body = response.encode(kept)
    assert.equal(first, second)
    assert.same({ 200, "x" }, { status, body })
    local other = { body = "x" }
    assert.not_equal((select(2, response.encode(other))),
      (select(2, response.encode(other))))
  end)
end)
