-- The memory and processor time of simulated overlays without Lua. Runs
-- sim_size with growing sizes.

local core = require("kadenza.core")

local M = {}

local SECONDS <const> = 3600 -- of virtual time, and the time limit
local MEGABYTE <const> = 1000000

-- Goals by number of nodes: resident memory, and processor time of a quiet
-- hour.
local GOALS <const> = {
  [10000] = { megabytes = 200, seconds = 60 },
  [100000] = { megabytes = 2000 },
}

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- Columns of the table of sim_size, by field.
local COLUMNS <const> = { nodes = "nodes", seconds = "cpu_s",
  rate = "events/s", queries = "queries/min", contacts = "contacts",
  resident = "resident", live = "blocks" }

local function words_of(line)
  local words = {}
  for word in line:gmatch("%S+") do
    words[#words + 1] = word
  end
  return words
end

--- Parses the output of sim_size. Returns the figures of its last phase and the
--- trace hash.
---@param text string
---@return table point
function M.parse(text)
  local head = text:match("^phase[^\n]*") or ""
  local names = words_of((head:gsub("(%a) s ", "%1_s ")))
  local cells = words_of(text:match("\n(quiet[^\n]*)") or "")
  local by_name = {}
  for i, name in ipairs(names) do
    by_name[name] = tonumber(cells[i])
  end
  local point = { hash = text:match("\ntrace (%x+)") }
  for field, name in pairs(COLUMNS) do
    point[field] = by_name[name]
    if not point[field] or not point.hash or #names ~= #cells then
      error("sim_size has printed something else:\n" .. text, 0)
    end
  end
  point.nodes = math.tointeger(point.nodes)
  return point
end

local function measure(nodes, seed, folder)
  local output, errors = folder .. "/size.txt", folder .. "/size.log"
  local status, message = core.spawn({
    os.getenv("BUILD") .. "/bench/sim_size", "--nodes", ("%d"):format(nodes),
    "--seconds", ("%d"):format(SECONDS), "--seed", ("%d"):format(seed),
  }, { output = output, errors = errors, timeout = SECONDS })
  if status ~= 0 then
    error(message or read(errors), 0)
  end
  return M.parse(read(output))
end

local function figures_of(points)
  local figures = {}
  for _, point in ipairs(points) do
    local goals = GOALS[point.nodes] or {}
    local function add(what, value, format, goal)
      figures[#figures + 1] = { name = ("%s, %d nodes"):format(what,
        point.nodes), value = value, text = format:format(value),
        goal = goal and ("≤ %d"):format(goal) }
      if goal then
        figures[#figures].met = value <= goal
      end
    end
    add("resident MB", point.resident * point.nodes / MEGABYTE, "%.0f",
      goals.megabytes)
    add("CPU s of a quiet hour", point.seconds, "%.1f", goals.seconds)
    add("bytes a node", point.resident, "%.0f")
    add("events a second of the processor", point.rate, "%.0f")
    add("queries a node a minute", point.queries, "%.2f")
  end
  return figures
end

local function chart(name, title, y, points, columns, values_of)
  local rows = {}
  for i, point in ipairs(points) do
    rows[i] = { point.nodes, values_of(point) }
  end
  return { name = name, title = title, kind = "points", x = "nodes", y = y,
    logarithmic = "x", columns = { "nodes", table.unpack(columns) },
    rows = rows }
end

local function charts_of(points)
  return {
    chart("memory", "Memory of a node", "bytes", points,
      { "resident", "allocated by the overlay" }, function(point)
        return point.resident, point.live
      end),
    chart("speed", "Speed", "events a second of the processor", points,
      { "events" }, function(point)
        return point.rate
      end),
    chart("time", "A quiet hour", "seconds of the processor", points,
      { "seconds" }, function(point)
        return point.seconds
      end),
  }
end

--- Measures overlays of growing size. Returns the report, and the fields of the
--- run that the table shows.
---@param sizes integer[]
---@param seed integer
---@param folder string
---@return kadenza.sim.Report report
---@return table run
function M.run(sizes, seed, folder)
  local points, hashes = {}, {}
  assert(core.make_folder(folder))
  for i, size in ipairs(sizes) do
    points[i] = measure(size, seed, folder)
    hashes[i] = points[i].hash
  end
  local last = points[#points]
  return {
    title = "size",
    about = "Memory and processor time of quiet overlays, without Lua.",
    scenario = "size",
    seed = seed,
    hash = table.concat(hashes, " "),
    options = { { name = "sizes", value = ("%d to %d"):format(points[1].nodes,
      last.nodes) }, { name = "seconds", value = ("%d"):format(SECONDS) } },
    summary = figures_of(points),
    charts = charts_of(points),
  }, { nodes = last.nodes, seed = seed, lasted = SECONDS }
end

return M
