--- Draws the trace of a lookup as a tree: below each contact are those that it
--- named.
--- Tested by tests/spec/cli/lookup_trace_spec.lua.

local core = require("kadenza.core")
local figures = require("kadenza.cli.figures")

local M = {}

local DIGITS <const> = 10 -- of the target in the first line, and of ids

-- Returns the steps below each step, and those of contacts that were in the
-- table, all in the order of their queries.
local function arrange(steps)
  local roots, below = {}, {}
  for _, step in ipairs(steps) do
    local parent = step.named_by
    -- A parent comes before its children: there are no circles.
    if parent and parent < step.number then
      below[parent] = below[parent] or {}
      table.insert(below[parent], step)
    else
      roots[#roots + 1] = step
    end
  end
  return roots, below
end

-- Returns a time, aligned to the right; µ has two bytes.
local function time_of(seconds)
  local text = figures.duration(seconds)
  return (" "):rep(9 - core.text_width(text)) .. text
end

local function line_of(step, branches, has_paths)
  local outcome = step.answered and time_of(step.rtt) or " no reply"
  local notes = (has_paths and (" path %d"):format(step.path) or "")
    .. (step.had_value and " has the value" or "")
    .. (step.closest and " *" or "")
  return ("%s  %s  %4d  %s%s %s%s\n"):format(time_of(step.asked), outcome,
    step.bits, branches, step.id:sub(1, DIGITS), step.address, notes)
end

-- Adds the lines of steps, and of what is below them.
local function draw(lines, steps, below, indent, has_paths)
  for i, step in ipairs(steps) do
    local is_last = i == #steps
    lines[#lines + 1] =
      line_of(step, indent .. (is_last and "└─ " or "├─ "), has_paths)
    draw(lines, below[step.number] or {}, below,
      indent .. (is_last and "   " or "│  "), has_paths)
  end
end

--- Returns the trace of a lookup as text.
---@param trace table  of kadenza.console.trace
---@return string text
function M.text(trace)
  local roots, below = arrange(trace.steps)
  local has_paths = false
  for _, step in ipairs(trace.steps) do
    has_paths = has_paths or step.path > 1
  end
  local lines = { ("%s…: %d queries, %d hops, %s\n"):format(
    trace.target:sub(1, DIGITS), trace.messages, trace.hops,
    figures.duration(trace.took)),
    ("%9s  %9s  %4s  %s\n"):format("asked", "reply", "bits",
      "contacts (* the closest)") }
  draw(lines, roots, below, "", has_paths)
  return table.concat(lines)
end

return M
