--- A query that computes for about 50 ms, for bench/preemption.py.

local LOOPS <const> = 5000000

return {
  name = "bench-computing",
  version = 1,
  rpc = {
    compute = function()
      local sum = 0
      for i = 1, LOOPS do
        sum = sum + i
      end
      return { sum = sum }
    end,
  },
}
