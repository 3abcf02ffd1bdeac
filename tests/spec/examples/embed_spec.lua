-- Tests scripts/examples/embed.

local process = require("support.process")

local BUILD <const> = os.getenv("BUILD") or "build"

describe("a C program without Lua", function()
  after_each(process.end_all)

  it("runs nodes with a policy written in C", function()
    local embed = process.run({}, { path = BUILD .. "/examples/embed/embed" })
    assert.equal("", embed.stderr)
    assert.equal(0, embed.status)
    assert.equal(table.concat({
      "join: ok",
      "a long goodbye: more than ten bytes",
      "hello: ok",
      "",
    }, "\n"), embed.stdout)
  end)
end)
