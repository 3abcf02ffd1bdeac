--- One-shot commands of the program, against a node.

local assert = require("luassert")
local dkjson = require("dkjson")
local process = require("tests.spec.support.process")

local M = {}

--- Returns three functions: `run(args, options)` runs a command that joins
--- through a node, and returns what became of it; `output(args, options)`
--- returns its standard output, after it has succeeded without messages;
--- `document(args)` returns the JSON document that it prints.
---@param node fun(): table  returns the node, as process.start_node does
---@return fun(args: string[], options?: table): table run
---@return fun(args: string[], options?: table): string output
---@return fun(args: string[]): table document
function M.of(node)
  local function run(args, options)
    local all = table.move(args, 1, #args, 1, {})
    table.move({ "--bootstrap", node().address, "--allow-local" }, 1, 3,
      #all + 1, all)
    return process.run(all, options)
  end

  local function output(args, options)
    local done = run(args, options)
    assert.equal("", done.stderr)
    assert.equal(0, done.status)
    return done.stdout
  end

  local function document(args)
    args[#args + 1] = "--json"
    local text = output(args)
    local decoded, last = dkjson.decode(text)
    assert.equal("\n", text:sub(last))
    return decoded
  end

  return run, output, document
end

return M
