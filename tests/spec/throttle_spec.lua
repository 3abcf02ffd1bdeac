local throttle = require("kadenza.throttle")

describe("kadenza.throttle", function()
  local clock, calls, throttled

  before_each(function()
    clock, calls = 0, {}
    throttled = throttle.new({ now = function()
      return clock
    end })
  end)

  local function try(name)
    throttled(name, function(suppressed)
      calls[#calls + 1] = { name, suppressed }
    end)
  end

  it("calls once in ten seconds, with the number of calls left out", function()
    for second = 0, 25 do
      clock = second
      try("a")
    end
    assert.same({ { "a" }, { "a", 9 }, { "a", 9 } }, calls)
    clock = 100
    try("a")
    assert.same({ "a", 5 }, calls[4])
    clock = 200
    try("a")
    assert.same({ "a" }, calls[5])
  end)

  it("keeps names apart", function()
    try("a")
    try("b")
    try("a")
    assert.same({ { "a" }, { "b" } }, calls)
  end)

  it("remembers a bounded number of names", function()
    for i = 1, 5000 do
      try("name " .. i)
    end
    assert.equal(5000, #calls)
    try("name 5000")
    assert.equal(5000, #calls)
    try("name 1")
    assert.equal(5001, #calls)
  end)
end)
