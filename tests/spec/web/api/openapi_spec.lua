-- Tests scripts/kadenza/web/api/openapi.lua and schemas.lua: they describe what
-- the handlers take. tests/web/test_api.py tests a server against them.

local api = require("tests.spec.support.api")
local core = require("kadenza.core")
local openapi = require("kadenza.web.api.openapi")
local peers = require("kadenza.web.api.peers")
local query = require("kadenza.web.api.query")
local records = require("kadenza.web.api.records")
local reply = require("kadenza.web.api.reply")
local routes = require("kadenza.web.api").ROUTES
local storing = require("kadenza.web.api.storing")

local DOCUMENT <const> = openapi.describe(160)
local SCHEMAS <const> = DOCUMENT.components.schemas

-- Calls `fn(method, path, operation)` for each operation of the description.
local function each_operation(fn)
  for path, item in pairs(DOCUMENT.paths) do
    for method, operation in pairs(item) do
      fn(method:upper(), path, operation)
    end
  end
end

local function names_of(map)
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- Returns the names of the parameters of an operation in a place.
local function parameters_in(operation, place)
  local names = {}
  for _, parameter in ipairs(operation.parameters or {}) do
    if parameter["in"] == place then
      names[parameter.name] = true
    end
  end
  return names_of(names)
end

-- Returns the names of all properties of the schemas that a schema joins.
local function properties_of(name)
  local found = {}
  local schema = SCHEMAS[name]
  for _, part in ipairs(schema.anyOf or { schema }) do
    local target = part["$ref"] and SCHEMAS[part["$ref"]:match("[^/]+$")]
      or part
    for property in pairs(target.properties) do
      found[property] = true
    end
  end
  return names_of(found)
end

describe("the description of the API", function()
  it("has every route, and no other", function()
    local served, described = {}, {}
    for _, route in ipairs(routes) do
      local path = route[2]:gsub(":([%w_]+)", "{%1}")
      served[route[1] .. " " .. path] = route[4] and route[4].auth or "read"
    end
    each_operation(function(method, path, operation)
      described[method .. " " .. path] = operation.security and "write"
        or "read"
    end)
    assert.same(served, described)
  end)

  it("has the parameters of every path", function()
    each_operation(function(_, path, operation)
      local names = {}
      for name in path:gmatch("{([%w_]+)}") do
        names[#names + 1] = name
      end
      assert.same(names, parameters_in(operation, "path"))
    end)
  end)

  it("has every parameter and field that a handler takes", function()
    local paths = DOCUMENT.paths
    for path, rules in pairs({
      ["/v1/records/{key}"] = records.RULES,
      ["/v1/peers/{info_hash}"] = peers.RULES,
    }) do
      assert.same(names_of(rules), parameters_in(paths[path].get, "query"))
    end
    assert.same(names_of(storing.RULES),
      parameters_in(paths["/v1/records/{key}"].put, "query"))
    for name, rules in pairs({ NewRecord = storing.DOCUMENT_RULES,
      Announce = peers.DOCUMENT_RULES, Query = query.DOCUMENT_RULES }) do
      assert.same(names_of(rules), properties_of(name))
    end
  end)

  it("has every status of a failure", function()
    local described = {}
    each_operation(function(_, _, operation)
      for status in pairs(operation.responses) do
        described[status] = true
      end
    end)
    for _, statuses in ipairs({ reply.STATUSES, reply.REMOTE_STATUSES }) do
      for _, status in pairs(statuses) do
        assert.is_true(described[tostring(status)], status)
      end
    end
  end)

  it("refers only to schemas that there are", function()
    local used = {}
    local function find(value)
      if type(value) ~= "table" then
        return
      end
      for name, item in pairs(value) do
        if name == "$ref" then
          local schema = item:match("^#/components/schemas/(%w+)$")
          assert.is_table(SCHEMAS[schema], item)
          used[schema] = true
        end
        find(item)
      end
    end
    find(DOCUMENT)
    assert.same(names_of(SCHEMAS), names_of(used))
  end)

  it("is served, with the width of the node's keys",
    api.overlay(function(client)
      local response = client:get("/v1/openapi.json")
      assert.equal(200, response.status)
      assert.equal("application/json", response.headers["Content-Type"])
      assert.equal("3.1.0", response.document.openapi)
      assert.matches("{64}",
        response.document.components.schemas.Key.pattern, 1, true)
      assert.is_string(core.version)
    end, { config = { id_bits = 256 } }))
end)
