local recorder = require("kadenza.sim.recorder")

describe("kadenza.sim.recorder", function()
  it("keeps six kinds of operations apart", function()
    local many = recorder.new()
    for i = 1, 100 do
      many:record("kind " .. i, { time = i, ok = true })
    end

    assert.equal(7, #many.kinds)
    assert.equal(94, many.kinds[7].count)
  end)

  it("keeps no more marks than a chart can show", function()
    local many = recorder.new()
    for i = 1, 1000 do
      many:record("mark", { time = i, text = "x" })
    end

    assert.equal(32, #many.marks)
  end)
end)
