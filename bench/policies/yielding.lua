--- A hook that yields once before it accepts.
--
-- The difference between a store with this policy and one with `validate.lua`
-- is what a coroutine, a timer and a deferred reply cost.

local kad = require("kadenza")

return {
  name = "bench-yielding",
  version = 1,
  types = {
    value = {
      validate = function()
        kad.sleep(0)
        return true
      end,
    },
  },
}
