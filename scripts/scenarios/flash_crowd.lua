--- A flash crowd: three quarters of the nodes join within a minute and get the
--- same value. Later they leave at the same time, half of them by a crash.

local kad = require("kadenza")

local POPULAR <const> = kad.key("popular")
local ARRIVAL_SECONDS <const> = 60

local function size_of_crowd(options)
  return options.nodes - math.max(options.nodes // 4, 2)
end

-- Joins a node at a random moment of the minute, and gets the value.
local function visit(net, run, crowd)
  kad.sleep(run:random() * ARRIVAL_SECONDS)
  local node = net:join()
  crowd[#crowd + 1] = node
  local value = run:get(POPULAR, { node = node })
  run:record("visit", { ok = value ~= nil })
end

return {
  name = "flash_crowd",
  summary = "Most nodes join within a minute for one value, and leave again.",
  nodes = 120,
  hours = 1,
  network = function(options)
    return { latency = "jimenez2011",
      nodes = options.nodes - size_of_crowd(options) }
  end,
  setup = function(_, run)
    run:put(POPULAR, "a popular value")
  end,
  workload = { keys = 20, gets = 10 },
  steps = {
    { part = 0.2, name = "the crowd comes", run = function(net, run)
      run.crowd = {}
      local visits = {}
      for i = 1, size_of_crowd(run.options) do
        visits[i] = function()
          visit(net, run, run.crowd)
        end
      end
      kad.all(visits)
    end },
    { part = 0.6, name = "the crowd leaves", run = function(net, run)
      local half = #run.crowd // 2
      net:kill(table.move(run.crowd, 1, half, 1, {}))
      net:leave(table.move(run.crowd, half + 1, #run.crowd, 1, {}))
    end },
  },
  expect = function(net, run)
    run:expect("visitors", run:count("visit"), "==", size_of_crowd(run.options))
    run:expect("visitors that found it", run:share("visit"), ">=", 0.99)
    run:expect("values found", run:share("get"), ">=", 0.98)
    run:expect("held at the end", run:mean(run:select("sample",
      run.seconds * 0.9), "held"), ">=", 0.8)
    run:expect("nodes left", net:alive(), "==", run.nodes)
  end,
}
