local core = require("kadenza.core")
local kad = require("kadenza")

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

describe("core.counters", function()
  local parts = core.counters()

  it("names every counter of a node and of its sockets", function()
    local known = {}
    for _, part in ipairs({ parts.node, parts.sockets }) do
      for _, counter in ipairs(part) do
        known[counter.name] = true
      end
    end
    kad.run(function()
      local node <close> = assert(kad.node({ listen = "127.0.0.1:0" }))
      for name in pairs(node:stats()) do
        assert.is_true(known[name], name)
        known[name] = nil
      end
    end)
    assert.same({}, known)
  end)

  it("has the text of each, and which are gauges", function()
    local text = read("docs/operations.md")
    local gauges = 0
    for _, part in pairs(parts) do
      for _, counter in ipairs(part) do
        local row = ("\n| `%s` | %s%s |\n"):format(counter.name, counter.text,
          counter.is_gauge and " (gauge)" or "")
        assert.is_truthy(text:find(row, 1, true), row)
        gauges = gauges + (counter.is_gauge and 1 or 0)
      end
    end
    assert.is_true(gauges > 15)
    assert.equal("disk_failing", parts.durable[8].name)
    assert.is_true(parts.durable[8].is_gauge)
    assert.is_false(parts.durable[1].is_gauge)
  end)
end)
