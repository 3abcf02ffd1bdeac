--- A query that computes for about 1 ms, for bench/flood.py.

local LOOPS <const> = 100000

return {
  name = "bench-slow",
  version = 1,
  rpc = {
    slow = function()
      local sum = 0
      for i = 1, LOOPS do
        sum = sum + i
      end
      return { sum = sum }
    end,
  },
}
