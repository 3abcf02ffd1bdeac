--- kadenza lookup: finds the nodes closest to an id.
--- Tested by tests/spec/cli/commands_spec.lua,
--- tests/spec/cli/lookup_trace_spec.lua.

local attach = require("kadenza.cli.attach")
local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local input = require("kadenza.cli.input")
local json = require("kadenza.json")
local kad = require("kadenza")
local output = require("kadenza.cli.output")
local trace = require("kadenza.console.trace")
local tree = require("kadenza.cli.lookup_tree")

local M = {
  summary = "Look up the nodes closest to an id.",
  description = "Prints the ids and addresses of the nodes closest to ID, the "
    .. "closest first. With --bootstrap, a node of its own joins the overlay "
    .. "for that; without it, a node that runs looks the id up: that of "
    .. "--console or --state, or the only one of this user.\n\nWith --trace, "
    .. "prints every query as a tree: below each contact are those that it "
    .. "named, with when it was asked, how long its reply took, and how many "
    .. "leading bits its id shares with ID.",
  usage = "ID",
  example = "lookup greeting --trace --state var/node",
  settings = client.SETTINGS,
}

-- Seconds that the node has: it ends a lookup before.
local SECONDS <const> = 120

local OPTIONS <const> = {
  { name = "trace", kind = "switch", flag = "--trace",
    text = "Print every query, as a tree." },
}

function M.arguments(command)
  command:argument("id", "An id in hexadecimal, or a name that is hashed.")
    :target("target")
  return attach.arguments(command, OPTIONS)
end

-- Returns the text of a trace: the tree, or the closest contacts.
local function text_of(document, is_traced)
  if is_traced then
    return tree.text(document)
  end
  local lines = {}
  for i, contact in ipairs(document.contacts) do
    lines[i] = ("%s %s\n"):format(contact.id, contact.address)
  end
  return table.concat(lines)
end

-- Looks up with a node of its own.
local function join(target, settings)
  return client.join(settings, function(node)
    return trace.document(target, client.need(node:find_node(target)))
  end)
end

-- Has a node that runs look up the target.
local function attached(args, settings)
  local console <close> = attach.open(args, settings, function()
    client.check(settings) -- says that a node to join through is needed
  end)
  local status = attach.need(console:request("status"))
  local target = input.key(args.target, status.id_bits)
  return (attach.need(console:request("lookup", { target = kad.hex(target) },
    SECONDS)))
end

local function write(document, settings, is_traced)
  if not settings.json then
    output.text(text_of(document, is_traced))
    return
  end
  document.steps = is_traced and output.array(document.steps) or nil
  document.contacts = output.array(document.contacts)
  output.write(json.encode(document, trace.ORDER), "\n")
end

function M.run(args, settings)
  local is_traced = config.read_own(OPTIONS, args).trace
  local document
  if #settings.bootstrap == 0 then
    document = attached(args, settings)
  else
    document = join(input.key(args.target, settings.id_bits), settings)
  end
  write(document, settings, is_traced)
end

return M
