--- Mobile nodes: a third of the nodes are phones. They are behind NATs, change
--- their addresses, and sleep for minutes while their clocks stand still.

local kad = require("kadenza")

local PHONES <const> = 1 / 3
local MOVE_SECONDS <const> = 1200 -- on average, a phone
local SLEEP_SECONDS <const> = 1800
local LONGEST_SLEEP <const> = 600

-- Waits for an event that happens every `seconds` on average, at random.
local function wait(run, seconds)
  kad.sleep(-math.log(1 - run:random()) * seconds)
end

local function walk(net, run, phone)
  while true do
    wait(run, MOVE_SECONDS)
    net:move(phone)
    run:record("move", {})
  end
end

local function doze(net, run, phone)
  while true do
    wait(run, SLEEP_SECONDS)
    local seconds = run:random() * LONGEST_SLEEP
    net:suspend(phone, seconds, true)
    run:record("sleep", { seconds = seconds })
    kad.sleep(seconds)
  end
end

return {
  name = "mobile",
  summary = "A third of the nodes are phones behind NATs; they move and sleep.",
  nodes = 100,
  hours = 2,
  network = { latency = "jimenez2011", loss = 0.01 },
  workload = { keys = 30, gets = 15 },
  tasks = { function(net, run)
    local works = {}
    for i, phone in ipairs(net:choose(PHONES)) do
      net:nat(phone, i % 2 == 0 and "symmetric" or "port_restricted")
      works[#works + 1] = function()
        walk(net, run, phone)
      end
      works[#works + 1] = function()
        doze(net, run, phone)
      end
    end
    kad.all(works)
  end },
  expect = function(net, run)
    local late = run:select("sample", run.seconds / 2)
    run:expect("moves of the phones", run:count("move"), ">=",
      run.nodes * PHONES * run.seconds / MOVE_SECONDS / 2)
    run:expect("values found", run:share("get"), ">=", 0.98)
    run:expect("values that are right", run:share("get", "correct"), "==", 1)
    run:expect("held by the k closest", run:mean(late, "held"), ">=", 0.9)
    run:expect("nodes left", net:alive(), "==", run.nodes)
  end,
}
