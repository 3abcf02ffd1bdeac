local timer_queue = require("kadenza.sim.timer_queue")

describe("kadenza.sim.timer_queue", function()
  it("pops the earliest item first", function()
    local queue, times = timer_queue.new(), {}
    local state = 1
    for _ = 1, 1000 do
      state = state * 48271 % 0x7fffffff
      queue:add(state % 500, state)
      times[#times + 1] = state % 500
    end
    table.sort(times)
    for _, time in ipairs(times) do
      assert.equal(time, queue:next_time())
      local item, at = queue:pop()
      assert.equal(time, at)
      assert.equal(time, item % 500)
    end
    assert.is_nil(queue:next_time())
    assert.is_nil((queue:pop()))
  end)
end)
