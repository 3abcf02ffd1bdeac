--- The cheapest useful hook: it looks at two fields and accepts.
--
-- The difference between a store with this policy and one without is what a
-- call into Lua costs.

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
