-- Compares the growth of hops with two models: c · log n with a fitted c (Cai
-- and Devroye, "A probabilistic analysis of Kademlia networks"), and log2 n,
-- the bound of Kademlia §3.

local M = {}

-- Fits a line through zero to the points by least squares. Returns its slope c
-- and the share of the variance that it explains.
local function fit(points)
  local xy, xx, sum = 0, 0, 0
  for _, point in ipairs(points) do
    local x = math.log(point.nodes, 2)
    xy, xx, sum = xy + x * point.hops, xx + x * x, sum + point.hops
  end
  local c, mean = xy / xx, sum / #points
  local left, all = 0, 0
  for _, point in ipairs(points) do
    left = left + (point.hops - c * math.log(point.nodes, 2)) ^ 2
    all = all + (point.hops - mean) ^ 2
  end
  return c, all > 0 and 1 - left / all or 1
end

local function chart_of(points, c)
  local list = {}
  for i, point in ipairs(points) do
    local bits = math.log(point.nodes, 2)
    list[i] = { point.nodes, point.hops, point.most, c * bits, bits }
  end
  return { name = "growth", title = "Hops of lookups", kind = "points",
    x = "nodes", y = "hops", logarithmic = "x", rows = list,
    columns = { "nodes", "mean", "99 % within",
      ("%.3f log2 n"):format(c), "log2 n" },
    note = "Mean and 99th percentile of random lookups, the model c · log n "
      .. "fitted to the mean, and the bound." }
end

-- Returns the largest ratio of mean hops to the bound.
local function worst_of(points)
  local worst = 0
  for _, point in ipairs(points) do
    worst = math.max(worst, point.hops / math.log(point.nodes, 2))
  end
  return worst
end

local function text(value)
  return ("%.3f"):format(value)
end

--- Returns the report of runs of growing size.
---@param runs kadenza.SimRun[]
---@return kadenza.sim.Report report
function M.report(runs)
  local points, hashes = {}, {}
  for i, run in ipairs(runs) do
    points[i] = { nodes = run.nodes, hops = run:mean("lookup", "hops"),
      most = run:percentile("lookup", "hops", 99) }
    hashes[i] = run.trace_hash
  end
  local c, explained = fit(points)
  local worst = worst_of(points)
  local last = points[#points]
  local figures = {
    { name = "mean hops / log2 n, worst", value = worst, text = text(worst),
      goal = "≤ 1", met = worst <= 1 },
    { name = "hops, mean of the largest", value = last.hops,
      text = text(last.hops) },
    { name = "c of c · log2 n", value = c, text = text(c) },
  }
  if #points > 2 then
    table.insert(figures, 2, { name = "variance that c · log n explains",
      value = explained, text = text(explained), goal = "≥ 0.95",
      met = explained >= 0.95 })
  end
  return { title = "hops", scenario = "hops", seed = runs[1].seed,
    about = "The growth of the hops of lookups with the overlay.",
    hash = table.concat(hashes, " "), summary = figures,
    options = { { name = "sizes", value = ("%d to %d"):format(points[1].nodes,
      last.nodes) } },
    charts = { chart_of(points, c) } }
end

return M
