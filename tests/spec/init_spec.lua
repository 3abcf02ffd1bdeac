local core = require("kadenza.core")
local kad = require("kadenza")

describe("kadenza", function()
  it("has the version of the core", function()
    assert.equal("kadenza " .. core.version, kad._VERSION)
    assert.equal(core.version, kad.version)
  end)

  it("adds no globals", function()
    local before, loaded = {}, {}
    for name in pairs(_G) do
      before[name] = true
    end
    for name, module in pairs(package.loaded) do
      if name:match("^kadenza") and name ~= "kadenza.core" then
        loaded[name] = module
        package.loaded[name] = nil
      end
    end
    require("kadenza")
    for name, module in pairs(loaded) do
      package.loaded[name] = module
    end
    for name in pairs(_G) do
      assert.is_true(before[name], "global " .. tostring(name))
    end
  end)
end)
