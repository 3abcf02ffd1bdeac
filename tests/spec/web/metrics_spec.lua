local fixture = require("tests.spec.support.metrics")
local metrics = require("kadenza.web.metrics")

describe("kadenza.web.metrics", function()
  -- What clients send, and the format that they get.
  local CASES <const> = {
    { nil, "plain" },
    { "", "plain" },
    { "*/*", "plain" },
    { "text/html,application/xhtml+xml,*/*;q=0.8", "plain" },
    { "text/plain", "plain" },
    { "text/plain;version=0.0.4", "plain" },
    { "application/openmetrics-text", "openmetrics" },
    { "application/openmetrics-text; version=1.0.0; charset=utf-8",
      "openmetrics" },
    { 'Application/OpenMetrics-Text;Version="1.0.0"', "openmetrics" },
    { "application/openmetrics-text;version=0.0.1", "plain" },
    { "application/openmetrics-text;version=1.0.0,"
      .. "application/openmetrics-text;version=0.0.1;q=0.75,"
      .. "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "openmetrics" },
    { "application/openmetrics-text;q=0.3,text/plain;q=0.5", "plain" },
    { "application/openmetrics-text;q=0", "plain" },
    { "application/openmetrics-text;q=0.5,*/*;q=0.1", "openmetrics" },
    { "application/*", "plain" },
    { "application/vnd.google.protobuf;encoding=delimited", "plain" },
    { ("a/b,"):rep(1000) .. "application/openmetrics-text", "plain" },
    { ";;;,,=,q=;application/openmetrics-text", "plain" },
    { "application/openmetrics-text;q=nan", "openmetrics" },
  }

  for _, case in ipairs(CASES) do
    local accept = case[1] and case[1]:sub(1, 60) or "nothing"
    it(("answers %s with the format %s"):format(accept, case[2]), function()
      assert.equal(case[2], metrics.choose(case[1]))
    end)
  end

  it("has one route, with the type of what it answers", function()
    local routes = {}
    metrics.add({ route = function(_, method, path, handle)
      routes[method .. " " .. path] = handle
    end }, { node = fixture.node({ stats = { queries = 5 } }) })
    for _, case in ipairs({ { "openmetrics", "application/openmetrics-text" },
      { "plain", "text/plain" } }) do
      local response = routes["GET /metrics"]({ headers = {
        accept = case[2] } })
      assert.equal(200, response.status)
      assert.equal(case[2],
        response.headers["Content-Type"]:match("^[^;]*"))
      local read = fixture.read(response.body, case[1])
      assert.equal(5, fixture.value(read, "kadenza_queries_total"))
    end
  end)
end)
