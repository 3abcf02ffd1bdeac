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
    local is_gauge = {}
    for _, counter in ipairs(parts.durable) do
      is_gauge[counter.name] = counter.is_gauge
    end
    assert.is_true(is_gauge.disk_failing)
    assert.is_false(is_gauge.disk_failures)
  end)
end)
