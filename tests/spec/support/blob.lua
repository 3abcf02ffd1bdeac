--- Fixtures of the specs of blobs: bytes, an overlay that holds chunks, and a
--- counter of calls.

local assert = require("luassert")
local blob = require("kadenza.blob")
local kad = require("kadenza")
local support = require("tests.spec.support")
local tree = require("kadenza.blob.tree")

local M = {}

--- Returns pseudo-random bytes, the same each time.
---@param count integer
---@return string bytes
function M.bytes_of(count)
  local state, parts = count, {}
  for i = 1, (count + 7) // 8 do
    state = state * 6364136223846793005 + 1442695040888963407
    parts[i] = string.pack("<i8", state ~ (state >> 29))
  end
  return table.concat(parts):sub(1, count)
end

--- Wraps a spec: calls `fn(writer, reader, net)` as a task of an overlay.
---@param fn async fun(writer: kadenza.Node, reader: kadenza.Node, net: table)
---@param options? table  of kad.sim
---@return fun()
function M.overlay(fn, options)
  return support.spec(function()
    local all = { nodes = 12, seed = 1, policies = { blob.policy() } }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    local net <close> = kad.sim(all)
    net:perform(function()
      fn(net.nodes[2], net.nodes[9], net)
    end)
  end)
end

--- Compares bytes; a failure does not print them.
---@param expected string
---@param got? string
function M.same_bytes(expected, got)
  assert.equal(#expected, #(got or ""))
  assert.is_true(expected == got)
end

--- Counts the calls of a method of a node.
---@param node kadenza.Node
---@param name string
---@return { calls: integer } counter
function M.count_calls(node, name)
  local counter, original = { calls = 0 }, node[name]
  node[name] = function(...)
    counter.calls = counter.calls + 1
    return original(...)
  end
  return counter
end

--- Stores a chunk with any value; returns its key.
---@param node kadenza.Node
---@param value string
---@return string key
function M.put_chunk(node, value)
  local key = tree.key_of(value, node:id_bits() // 8)
  assert(node:put(key, value, { type = "chunk" }))
  return key
end

return M
