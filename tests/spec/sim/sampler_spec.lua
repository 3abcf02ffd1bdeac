local sampler = require("kadenza.sim.sampler")
local support = require("tests.spec.support")

local spec = support.spec

describe("kadenza.sim.sampler", function()
  it("counts only what nodes sent since the sample before",
    spec(function()
      local open = {}
      -- Nodes that have sent a million queries, and send ten more a minute.
      local function node()
        local queries = 1000000
        return {
          is_open = function()
            return true
          end,
          state = function()
            return "healthy"
          end,
          core = { stats = function()
            queries = queries + 10
            return setmetatable({ queries = queries }, { __index = function()
              return 0
            end })
          end },
        }
      end
      for i = 1, 5000 do
        open[i] = node()
      end
      local now, records = 0, {}
      local fake = {
        records = {},
        values = {},
        net = { nodes = open, counts = { joined = 0, crashed = 0, left = 0 },
          alive = function()
            return #open
          end },
        now = function()
          return now
        end,
        select = function()
          return {}
        end,
        record = function(_, _, fields)
          records[#records + 1] = fields
        end,
      }
      local made = sampler.new(fake)
      for _ = 1, 3 do
        now = now + 60
        table.remove(open, 1) -- the next sample reads other nodes
        made:sample()
        now = now + 60
        made:sample()
      end

      for i = 2, #records, 2 do
        assert.equal(10, records[i].queries)
        assert.equal(10, records[i].queries_max)
      end
      assert.is_nil(records[1].queries)
      assert.equal(6, #records)
    end))
end)
