local throttle = require("kadenza.throttle")

describe("kadenza.throttle", function()
  local clock, said, say

  before_each(function()
    clock, said = 0, {}
    say = throttle.new({ now = function()
      return clock
    end })
  end)

  local function try(name)
    say(name, function(unsaid)
      said[#said + 1] = { name, unsaid }
    end)
  end

  it("says a thing once in ten seconds, and how often it did not", function()
    for second = 0, 25 do
      clock = second
      try("a")
    end
    assert.same({ { "a" }, { "a", 9 }, { "a", 9 } }, said)
    clock = 100
    try("a")
    assert.same({ "a", 5 }, said[4])
    clock = 200
    try("a")
    assert.same({ "a" }, said[5])
  end)

  it("tells names apart", function()
    try("a")
    try("b")
    try("a")
    assert.same({ { "a" }, { "b" } }, said)
  end)

  it("remembers a bounded number of names", function()
    for i = 1, 5000 do
      try("name " .. i)
    end
    assert.equal(5000, #said)
    try("name 5000")
    assert.equal(5000, #said)
    try("name 1")
    assert.equal(5001, #said)
  end)
end)
