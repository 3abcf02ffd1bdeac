local history = require("kadenza.web.history")
local json = require("dkjson")

local FIGURES <const> = {
  { name = "queries", kind = "rate" },
  { name = "contacts", kind = "gauge" },
  { name = "seconds", kind = "mean", of = "lookups" },
}

-- Adds a reading every five seconds, from `first` to `last`.
local function fill(past, first, last, read)
  for now = first, last, history.PERIOD do
    past:add(now, read(now))
  end
  return past
end

local function steady(now)
  return { queries = 10 * now, contacts = now, seconds = now / 2,
    lookups = now }
end

describe("kadenza.web.history", function()
  it("has a row of rates, values and means for each step", function()
    local past = history.new(FIGURES)
    past:add(100, { queries = 7, contacts = 1, seconds = 1.5, lookups = 3 })
    assert.same({}, past:rows(5))
    past:add(105, { queries = 17, contacts = 4, seconds = 3.5, lookups = 7 })
    past:add(110, { queries = 17, contacts = 2, seconds = 4, lookups = 8 })
    assert.same({ { 105.0, 2.0, 4.0, 0.5 }, { 110.0, 0.0, 2.0, 0.5 } },
      past:rows(5))
    assert.same({}, past:rows(60))
  end)

  it("keeps 15 minutes, 2 hours and 24 hours", function()
    local past = fill(history.new(FIGURES), 0, 90000, steady)
    for step, span in pairs({ [5] = 900, [60] = 7200, [300] = 86400 }) do
      local rows = past:rows(step)
      assert.equal(span // step, #rows)
      assert.equal(90000, rows[#rows][1])
      for i, row in ipairs(rows) do
        assert.same({ 90000.0 - (#rows - i) * step, 10.0, row[1], 0.5 }, row)
      end
    end
  end)

  it("needs the same memory however long it runs", function()
    local figures = {}
    for i = 1, 50 do
      figures[i] = { name = "figure" .. i, kind = "gauge" }
    end
    local past = history.new(figures)
    local function bytes()
      collectgarbage()
      collectgarbage()
      return collectgarbage("count") * 1024
    end
    local function read(now)
      local values = {}
      for i = 1, 50 do
        values["figure" .. i] = now + i
      end
      return values
    end
    local before = bytes()
    fill(past, 0, 90000, read)
    local full = bytes()
    assert.is_true(full - before < 200000, full - before)
    fill(past, 90005, 200000, read)
    assert.is_true(math.abs(bytes() - full) < 10000)
    assert.equal(288, #past:rows(300))
  end)

  it("sees that a counter began again at 0", function()
    local past = history.new(FIGURES)
    past:add(0, { queries = 1000, seconds = 9, lookups = 9 })
    past:add(5, { queries = 10, seconds = 1, lookups = 2 })
    local row = past:rows(5)[1]
    assert.equal(2.0, row[2])
    assert.equal(0.5, row[4])
  end)

  it("has no value where there is none", function()
    local past = history.new(FIGURES)
    past:add(0, { seconds = 1, lookups = 1 })
    past:add(5, { queries = 3, seconds = 1, lookups = 1 })
    local _, queries, contacts, seconds = table.unpack(past:rows(5)[1])
    assert.is_true(queries ~= queries and contacts ~= contacts
      and seconds ~= seconds)
  end)

  it("leaves out the time in which nothing was read", function()
    local past = fill(history.new(FIGURES), 0, 300, steady)
    fill(past, 4000, 4300, steady)
    fill(past, 10, 20, steady) -- another clock
    local times = {}
    for i, row in ipairs(past:rows(60)) do
      times[i] = row[1]
      assert.equal(10, row[2])
    end
    assert.same({ 60, 120, 180, 240, 300, 4060, 4120, 4180, 4240, 4300 }, times)
    assert.equal(4300, past:rows(300)[2][1])
    local fine = past:rows(5)
    assert.same({ 15, 20 }, { fine[#fine - 1][1], fine[#fine][1] })
  end)

  it("takes readings that are a little early or late", function()
    local past = history.new(FIGURES)
    for i = 0, 24 do
      local now = 5 * i + (i % 3 - 1) * 0.4
      past:add(now, steady(now))
    end
    assert.equal(24, #past:rows(5))
    assert.equal(2, #past:rows(60))
  end)

  it("returns only the rows after a time", function()
    local past = fill(history.new(FIGURES), 0, 60, steady)
    local rows = past:rows(5, 50)
    assert.same({ 55, 60 }, { rows[1][1], rows[2][1] })
    assert.same({}, past:rows(5, 60))
  end)

  it("writes JSON, with the time of another clock", function()
    local past = history.new(FIGURES)
    assert.same({ step = 300, series = { "queries", "contacts", "seconds" },
      rows = {} }, json.decode(past:json(300, 0)))
    past:add(0, { queries = 0, contacts = 1, seconds = 0, lookups = 0 })
    past:add(5, { queries = 7, contacts = 12345678, seconds = 0, lookups = 0 })
    assert.equal('{"step":5,"series":["queries","contacts","seconds"],'
      .. '"rows":[[1700000005.000,1.4,1.23457e+07,null]]}',
      past:json(5, 1700000000))
    assert.equal(1, #json.decode(past:json(5, 100, 104)).rows)
    assert.equal(0, #json.decode(past:json(5, 100, 105)).rows)
  end)

  it("knows three spans", function()
    assert.error_matches(function()
      history.new(FIGURES):rows(7)
    end, "step: expected 5, 60 or 300", 1, true)
  end)
end)
