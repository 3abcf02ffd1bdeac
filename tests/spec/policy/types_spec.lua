-- The definitions for editors match the host.
local http_hook = require("kadenza.policy.http_hook")
local lint = require("kadenza.policy.lint")
local policies = require("tests.spec.support.policy")
local shape = require("kadenza.policy.shape")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

local FILE <const> = "scripts/kadenza/policy/types.lua"

-- Returns the sorted fields of each class.
local function read_classes()
  local classes, current = {}, nil
  for line in io.lines(FILE) do
    local class = line:match("^%-%-%-@class ([%w_.]+)")
    local field = line:match("^%-%-%-@field ([%w_]+)")
    if class then
      current = {}
      classes[class] = current
    elseif field then
      table.insert(current, field)
    end
  end
  for _, fields in pairs(classes) do
    table.sort(fields)
  end
  return classes
end

local function sorted_keys(map)
  local keys = {}
  for name in pairs(map) do
    keys[#keys + 1] = name
  end
  table.sort(keys)
  return keys
end

describe("kadenza.policy.types", function()
  local classes = read_classes()

  it("has the keys of a policy and of its types", function()
    assert.same(sorted_keys(shape.POLICY_KEYS), classes["kadenza.Policy"])
    assert.same(sorted_keys(shape.TYPE_KEYS), classes["kadenza.Type"])
    assert.same(sorted_keys(http_hook.FIELDS), classes["kadenza.HttpRequest"])
  end)

  it("has the fields that hooks can read, and no others",
    support.spec(function()
      local all = {}
      for _, name in ipairs({ "Record", "Request", "Context" }) do
        for _, field in ipairs(classes["kadenza." .. name]) do
          all[field] = true
        end
      end
      local files <close> = policies.files()
      local text = ([[
local function readable(view)
  local names = {}
  for name in ("%s"):gmatch("%%S+") do
    if pcall(function() return view[name] end) then
      names[#names + 1] = name
    end
  end
  return nil, table.concat(names, " ")
end
return {
  types = { note = { validate = readable,
    expire = function(_, ctx) error(select(2, readable(ctx)), 0) end } },
  on_request = readable,
}]]):format(table.concat(sorted_keys(all), " "))
      local loaded <close> =
        assert(testing.load(files:write(text)))
      local function list(name)
        return table.concat(classes["kadenza." .. name], " ")
      end
      assert.equal(list("Record"),
        loaded:call("types.note.validate", {}).reason)
      assert.equal(list("Request"),
        loaded:call("on_request", { method = "x" }).reason)
      assert.equal(list("Context"),
        loaded:call("types.note.expire", {}).error)
    end))

  it("has the fields that the linter knows", function()
    for kind, class in pairs({ record = "Record", context = "Context",
      request = "Request" })
    do
      assert.same(sorted_keys(lint.FIELDS[kind]),
        classes["kadenza." .. class])
    end
  end)

  for _, path in ipairs({ FILE, "scripts/kadenza/node.lua",
    "scripts/kadenza/operation.lua", "scripts/kadenza/joining.lua",
    "scripts/kadenza/contact_query.lua", "scripts/kadenza/lookups.lua",
    "scripts/kadenza/storing.lua", "scripts/kadenza/sim.lua",
    "scripts/kadenza/testing.lua", "scripts/kadenza/testing/policy.lua",
    "scripts/kadenza/testing/overlay.lua",
    "scripts/kadenza/testing/literals.lua", "scripts/kadenza/group.lua" })
  do
    it("has each type on one line, in " .. path, function()
      local count = 0
      for line in io.lines(path) do
        if line:find("^%-%-%-@") then
          local opened = select(2, line:gsub("[%(<{]", ""))
          local closed = select(2, line:gsub("[%)>}]", ""))
          assert.equal(opened, closed, line)
          count = count + 1
        end
      end
      assert.is_true(count > 0 or path:find("testing.lua") ~= nil)
    end)
  end
end)
