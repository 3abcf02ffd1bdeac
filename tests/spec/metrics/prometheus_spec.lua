-- The alerts and the dashboard name metrics that exist, and are documented.
--
-- Tests packaging/prometheus, packaging/grafana, docs/metrics.md.

local families = require("kadenza.metrics.families")
local json = require("dkjson")

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local RULES <const> = read("packaging/prometheus/kadenza.rules.yml")
local TESTS <const> = read("packaging/prometheus/kadenza.rules.test.yml")
local DASHBOARD <const> = read("packaging/grafana/kadenza.json")

-- The names of all samples.
local SAMPLES <const> = {}
for _, family in ipairs(families.list()) do
  local endings = { counter = { "_total" }, gauge = { "" },
    histogram = { "_bucket", "_sum", "_count" } }
  for _, ending in ipairs(endings[family.type]) do
    SAMPLES[family.name .. ending] = true
  end
end

-- Checks the names of metrics in a text.
local function assert_known(text)
  local count = 0
  for name in text:gmatch("%f[%w_]kadenza_[%w_]+") do
    assert.is_true(SAMPLES[name], name)
    count = count + 1
  end
  for name in text:gmatch("%f[%w_]process_[%w_]+") do
    assert.is_true(SAMPLES[name], name)
  end
  return count
end

describe("the alerts", function()
  it("name metrics that exist", function()
    assert.is_true(assert_known(RULES) > 20)
  end)

  it("are documented, with their severity, and tested both ways", function()
    local text = read("docs/metrics.md")
    local documented, count = {}, 0
    for name in text:gmatch("\n| `(Kadenza%w+)` |") do
      documented[name] = true
    end
    for name, rest in RULES:gmatch("%- alert: (%w+)\n(.-)annotations:") do
      local severity = rest:match("severity: (%l+)")
      assert.is_truthy(text:find(("\n| `%s` | %s | "):format(name, severity),
        1, true), name)
      assert.is_truthy(TESTS:find(("name: %s fires\n"):format(name), 1, true),
        name)
      assert.is_truthy(TESTS:find(("name: %s does not\n"):format(name), 1,
        true), name)
      documented[name] = nil
      count = count + 1
    end
    assert.same({}, documented)
    assert.is_true(count >= 20)
  end)
end)

describe("the dashboard", function()
  local dashboard = assert(json.decode(DASHBOARD))

  it("names metrics that exist", function()
    local count = 0
    for _, panel in ipairs(dashboard.panels) do
      for _, target in ipairs(panel.targets or {}) do
        assert.is_true(assert_known(target.expr) + (target.expr:find("process_")
          and 1 or 0) > 0, target.expr)
        count = count + 1
      end
    end
    assert.is_true(count > 50)
  end)

  it("shows every metric that has a hook, an outcome or a reason", function()
    for _, family in ipairs(families.list()) do
      local labels = table.concat(family.labels, " ")
      if family.type == "histogram" or labels == "reason"
        or labels == "method" or labels == "error"
      then
        assert.is_truthy(DASHBOARD:find(family.name, 1, true), family.name)
      end
    end
  end)

  it("has panels that do not overlap, each with a number of its own", function()
    local taken, numbers = {}, {}
    for _, panel in ipairs(dashboard.panels) do
      assert.is_nil(numbers[panel.id])
      numbers[panel.id] = true
      local at = panel.gridPos
      assert.is_true(at.x + at.w <= 24)
      for x = at.x, at.x + at.w - 1 do
        for y = at.y, at.y + at.h - 1 do
          local cell = x .. "," .. y
          assert.is_nil(taken[cell], panel.title)
          taken[cell] = true
        end
      end
    end
  end)
end)
