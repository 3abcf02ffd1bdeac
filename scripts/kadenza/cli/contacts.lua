--- kadenza contacts: lists the contacts of a node that runs.
--- Tested by tests/spec/cli/listing_spec.lua.

local attach = require("kadenza.cli.attach")
local figures = require("kadenza.cli.figures")
local layout = require("kadenza.cli.layout")
local output = require("kadenza.cli.output")
local terminal = require("kadenza.cli.terminal")

local M = {
  summary = "List the contacts of a node that runs.",
  description = "Prints a line for each contact of the routing table, by "
    .. "bucket: the number of a bucket is how many leading bits the id of a "
    .. "contact shares with the node's. `seen` is how long ago the contact has "
    .. "replied, `rtt` how long its replies take, `failed` how many queries it "
    .. "has not answered since. On a terminal that is too narrow, ids are cut.",
  usage = "",
  example = "contacts --state var/node",
  settings = attach.SETTINGS,
}

local SHORT <const> = 10 -- digits of an id on a narrow terminal

function M.arguments(command)
  return attach.arguments(command)
end

local function make_rows(contacts, digits)
  local rows = { { "bucket", "id", "address", "seen", "rtt", "failed",
    "state" } }
  for i, contact in ipairs(contacts) do
    local id = contact.id
    rows[i + 1] = { ("%d"):format(contact.bucket),
      #id > digits and id:sub(1, digits) .. "…" or id, contact.address,
      figures.span(contact.idle), figures.duration(contact.rtt),
      ("%d"):format(contact.failures), contact.state }
  end
  return rows
end

local function fits(rows, columns)
  for _, line in ipairs(layout.align(rows)) do
    if columns and #line > columns then
      return false
    end
  end
  return true
end

--- Returns contacts as a table.
---@param contacts table[]  of kadenza.console.listing
---@param columns? integer  of the terminal
---@return string text
function M.text(contacts, columns)
  if not contacts[1] then
    return "no contacts\n"
  end
  local rows = make_rows(contacts, math.huge)
  if not fits(rows, columns) then
    rows = make_rows(contacts, SHORT)
  end
  return layout.table(rows, columns)
end

function M.run(args, settings)
  local client <close> = attach.open(args, settings)
  local result, raw = attach.need(client:request("contacts"))
  if settings.json then
    return output.write(raw, "\n")
  end
  output.write(M.text(result.contacts, terminal.columns(terminal.OUTPUT)))
end

return M
