--- The route `/metrics`: the figures of the node, for Prometheus and programs
--- that read the same formats. See `kadenza.metrics`.

local metrics = require("kadenza.metrics")

local M = {}

-- How well a type of content fits a format: "*/*" fits worst.
local NAMED <const>, RANGE <const>, ANY <const> = 3, 2, 1

-- The formats, with the types of content that stand for them.
local FORMATS <const> = {
  { name = "openmetrics", versions = { ["1.0.0"] = true }, types = {
    ["application/openmetrics-text"] = NAMED, ["application/*"] = RANGE } },
  { name = "plain", versions = { ["0.0.4"] = true }, types = {
    ["text/plain"] = NAMED, ["text/*"] = RANGE } },
}

-- Types of content in a header that are read; the rest is ignored.
local MAX_TYPES <const> = 32

-- Reads one item of the header Accept. Returns the type in lower case, its
-- version, and its weight: 0 to 1.
local function read_item(item)
  local kind = item:match("^%s*([^;%s]*)"):lower()
  local version, weight
  for name, value in item:gmatch(';%s*([%w_-]+)%s*=%s*"?([^";%s]*)') do
    if name:lower() == "version" then
      version = value
    elseif name:lower() == "q" then
      weight = tonumber(value:match("^[01]%.?%d*$"))
    end
  end
  return kind, version, math.min(weight or 1, 1)
end

-- Returns how well an item fits a format; 0: it does not.
local function fit(format, kind, version)
  if version and not format.versions[version] then
    return 0
  end
  return kind == "*/*" and ANY or format.types[kind] or 0
end

-- Keeps an item for the formats that it fits better than those before.
local function note(best, kind, version, weight)
  for _, format in ipairs(FORMATS) do
    local fits, known = fit(format, kind, version), best[format.name]
    local is_better = fits > known.fits
      or fits == known.fits and weight > known.weight
    if fits > 0 and is_better then
      best[format.name] = { fits = fits, weight = weight }
    end
  end
end

--- Returns the format that a client prefers by its header Accept: OpenMetrics
--- only if it is named, as other clients may not know it. Without a format that
--- the client accepts, it is the plain one.
---@param accept? string
---@return "openmetrics"|"plain" format
function M.choose(accept)
  local none = { fits = 0, weight = 0 }
  local best, count = { openmetrics = none, plain = none }, 0
  for item in (accept or ""):gmatch("[^,]+") do
    count = count + 1
    if count > MAX_TYPES then
      break
    end
    note(best, read_item(item))
  end
  local open = best.openmetrics
  return open.fits == NAMED and open.weight > 0
    and open.weight >= best.plain.weight and "openmetrics" or "plain"
end

--- Adds the route.
---@param server kadenza.web.Server
---@param running table  of `kadenza run`
---@return kadenza.Metrics exporter
function M.add(server, running)
  local exporter = metrics.new(running.node)
  server:route("GET", "/metrics", function(request)
    local text, content_type =
      exporter:render(M.choose(request.headers.accept))
    return { status = 200, body = text,
      headers = { ["Content-Type"] = content_type, ["Vary"] = "Accept" } }
  end)
  return exporter
end

return M
