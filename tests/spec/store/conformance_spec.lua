-- What tests the record stores of programs.

local conformance = require("kadenza.store.conformance")
local stores = require("support.store")
local support = require("tests.spec.support")

local logged_by = stores.logged_by
local new_store = stores.new
local spec = support.spec

describe("kadenza.store.conformance", function()
  local saved
  local factory = {
    open = function()
      saved = {}
      return new_store(saved)
    end,
    reopen = function()
      return new_store(saved)
    end,
  }
  for _, case in ipairs(conformance.cases(factory)) do
    it("finds that a table " .. case.name, spec(case.run))
  end

  it("passes a store that forgets", spec(function()
    assert(conformance.check({ open = function()
      return new_store({}, { each = false, close = false })
    end }))
  end))

  local function finds(message, broken)
    return spec(function()
      local records
      local passed, problem
      local function reopen()
        return new_store(records, broken(function()
          return records
        end))
      end
      logged_by(function()
        passed, problem = conformance.check({
          open = function()
            records = {}
            return reopen()
          end,
          reopen = reopen,
        })
      end)
      assert.is_nil(passed)
      assert.matches(message, problem, 1, true)
    end)
  end

  it("finds a lost field", finds("salt: expected", function(records)
    return { get = function(_, number)
      local record = records()[number]
      if record then
        record.salt = nil
      end
      return record
    end }
  end))

  it("finds a removal that does nothing", finds("removes records",
    function()
      return { remove = function() end }
    end))

  it("finds sequence numbers that are floats", finds("keeps sequence numbers",
    function(records)
      return { put = function(_, number, record)
        record.seq = record.seq and record.seq + 0.0
        records()[number] = record
      end }
    end))

  it("finds an iteration that ends early", finds("iterates over each",
    function(records)
      return { each = function()
        local number, record = next(records())
        return function(_, last)
          if not last then
            return number, record
          end
        end
      end }
    end))

  it("finds methods that raise errors", finds("out of order", function()
    return { put = function()
      error("out of order")
    end }
  end))

  it("finds values that are cut at a zero byte", finds("keeps values",
    function(records)
      return { put = function(_, number, record)
        record.value = record.value:match("^[^\0]*")
        records()[number] = record
      end }
    end))

  it("finds a touch that changes nothing", finds("touches", function()
    return { touch = function() end }
  end))
end)
