--- A cheap hook: it checks two fields and accepts.
--
-- The difference between stores with this policy and without is the cost of a
-- call into Lua.

return {
  name = "bench-validate",
  version = 1,
  types = {
    value = {
      validate = function(record)
        return record.type == "value" and #record.value <= 1000
      end,
    },
  },
}
