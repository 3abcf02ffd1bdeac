--- Reads the text formats of metrics strictly, and makes a node that has given
--- figures.

local M = {}

local UNESCAPED <const> = { ["\\"] = "\\", n = "\n", ['"'] = '"' }

-- Reads the value of a label from `at`, behind its quotation mark. Returns it,
-- and the position behind the mark at its end.
local function read_value(text, at)
  local parts = {}
  while text:sub(at, at) ~= '"' do
    local char = text:sub(at, at)
    assert(char ~= "", "a value without an end: " .. text)
    if char == "\\" then
      at = at + 1
      char = assert(UNESCAPED[text:sub(at, at)], "a wrong escape: " .. text)
    end
    parts[#parts + 1] = char
    at = at + 1
  end
  return table.concat(parts), at + 1
end

-- Reads what is between the braces of a sample.
local function read_labels(text)
  local labels, at = {}, 1
  while at <= #text do
    local name, from = text:match('^([%a_][%w_]*)="()', at)
    assert(name and not labels[name], "a wrong label: " .. text)
    labels[name], at = read_value(text, from)
    assert(at > #text or text:sub(at, at) == ",", "no comma: " .. text)
    at = at + 1
  end
  return labels
end

local ENDINGS <const> = {
  openmetrics = {
    counter = { _total = true },
    gauge = { [""] = true },
    histogram = { _bucket = true, _sum = true, _count = true },
  },
  plain = {
    counter = { [""] = true },
    gauge = { [""] = true },
    histogram = { _bucket = true, _sum = true, _count = true },
  },
}

local function read_sample(line, family, format)
  local name, labels, value = line:match("^([%a_:][%w_:]*){(.*)} (%S+)$")
  if not name then
    name, value = line:match("^([%a_:][%w_:]*) (%S+)$")
  end
  assert(name, "not a sample: " .. line)
  assert(name:sub(1, #family.name) == family.name, line)
  local ending = name:sub(#family.name + 1)
  assert(ENDINGS[format][family.type][ending], line)
  return { name = name, ending = ending, labels = read_labels(labels or ""),
    value = assert(tonumber((value:gsub("^%+", ""):gsub("[Ii]nf", "1e999"))),
      line) }
end

-- Begins a family with its line HELP.
local function begin(families, line)
  local name, help = line:match("^# HELP ([%a_:][%w_:]*) (.+)$")
  assert(name and not families[name], line)
  families[name] = { name = name, help = help, samples = {} }
  return families[name]
end

--- Reads a text. Raises if it is not well-formed, if two families have one
--- name, or if a family has no samples.
---@param text string
---@param format "openmetrics"|"plain"
---@return table<string, table> families  by name
function M.read(text, format)
  local families, family, seen = {}, nil, {}
  local body = format == "plain" and text
    or assert(text:match("^(.*\n)# EOF\n$"), "no end")
  for line in body:gmatch("([^\n]*)\n") do
    if line:find("^# HELP ") then
      assert(not family or #family.samples > 0, line)
      family = begin(families, line)
    elseif line:find("^# TYPE ") then
      family.type = line:match("^# TYPE " .. family.name .. " (%l+)$")
      assert(ENDINGS[format][family.type], line)
    elseif line:find("^# UNIT ") then
      assert(format == "openmetrics", line)
      family.unit = assert(line:match("^# UNIT %S+ (%l+)$"), line)
      assert(family.name:find("_" .. family.unit .. "$"), line)
    else
      local key = line:match("^(.*) ")
      assert(not seen[key], "twice: " .. line)
      seen[key] = true
      table.insert(family.samples, read_sample(line, family, format))
    end
  end
  return families
end

--- Returns the value of a sample that has the labels, or nil.
---@param families table
---@param name string  of the sample
---@param labels? table<string, string>
---@return number? value
function M.value(families, name, labels)
  for _, family in pairs(families) do
    for _, sample in ipairs(family.samples) do
      local fits = sample.name == name
      for label, value in pairs(labels or {}) do
        fits = fits and sample.labels[label] == value
      end
      if fits then
        return sample.value
      end
    end
  end
end

--- Returns a node with figures; those that are not given are empty.
---@param figures table
---@return table node
function M.node(figures)
  local node = { config = figures.config or {},
    core = { is_open = function()
      return figures.is_open ~= false
    end } }
  for _, name in ipairs({ "stats", "histograms", "tallies", "held_types",
    "reachability", "policy_metrics" }) do
    node[name] = function()
      return figures[name] or {}
    end
  end
  function node.state()
    return figures.state or "new"
  end
  return node
end

return M
