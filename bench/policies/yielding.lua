--- A hook that yields once before it accepts.
--
-- The difference between stores with this policy and with `validate.lua` is the
-- cost of a coroutine, a timer and a deferred reply.

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
