--- A query whose hook waits during the whole measurement.

local kad = require("kadenza")

return {
  name = "bench-waiting",
  version = 1,
  deadline = 600,
  rpc = {
    wait = function(request, ctx)
      kad.sleep(600)
      return { waited = request.args.n, since = ctx.now }
    end,
  },
}
