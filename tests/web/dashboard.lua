-- The policy of the node that test_dashboard.py looks at: its peers write lines
-- of the log, and it refuses what is called "bad".
local kad = require("kadenza")

return {
  name = "dashboard",
  rpc = {
    shout = function(request)
      kad.log.warn("heard", { text = request.args.text })
      return { heard = 1 }
    end,
    bad = function()
      return nil, "this is refused", 201
    end,
  },
}
