local core = require("kadenza.core")
local history = require("kadenza.cli.history")
local support = require("tests.spec.support")

describe("the history of the prompt", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
    folder = folder .. "/kadenza"
  end)

  after_each(function()
    remove()
  end)

  it("is kept, for its owner only", function()
    local first = history.open(folder)
    assert.same({}, first.lines)
    first:add("1 + 1")
    first:add("1 + 1")
    first:add("é \255")
    first:save()
    assert.same({ "1 + 1", "é \255" }, history.open(folder).lines)
    assert.is_false(core.is_shared(folder .. "/history"))
  end)

  it("has what several prompts have added", function()
    local one, other = history.open(folder), history.open(folder)
    one:add("a")
    other:add("b")
    one:save()
    other:save()
    one:save()
    assert.same({ "a", "b" }, history.open(folder).lines)
  end)

  it("has a bounded number of lines", function()
    local many = history.open(folder)
    for i = 1, history.MAX_LINES + 5 do
      many:add("line " .. i)
    end
    many:save()
    local lines = history.open(folder).lines
    assert.equal(history.MAX_LINES, #lines)
    assert.equal("line 6", lines[1])
  end)

  it("is not made without a line, and never in the way", function()
    history.open(folder):save()
    assert.is_false(core.exists(folder))
    assert(os.execute("mkdir -p '" .. folder .. "/history'"))
    local broken = history.open(folder)
    assert.same({}, broken.lines)
    broken:add("x")
    broken:save()
  end)
end)
