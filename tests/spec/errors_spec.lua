local errors = require("kadenza.errors")

describe("kadenza.errors", function()
  it("returns what the function returns", function()
    assert.same({ 1, nil, 3, n = 3 },
      table.pack(errors.at_level(1, function(...)
        return ...
      end, 1, nil, 3)))
  end)

  it("raises at the level, without the name of a function of the core",
    function()
      for text, message in pairs({
        ["x"] = "x",
        ["bad argument #2 to 'open' (too long)"] = "argument 2: too long",
        ["bad argument #1 to 'open' (option 'k' is wrong)"] =
          "option 'k' is wrong",
      }) do
        local function outer()
          errors.at_level(2, error, text, 0)
        end
        local _, raised = pcall(function()
          outer()
        end)

        assert.matches("errors_spec%.lua:%d+: ", raised)
        assert.equal(message, (raised:gsub("^.-:%d+: ", "")))
        assert.has_error(function()
          errors.at_level(-1, error, text, 0)
        end, message)
      end
    end)

  it("shows errors that are not strings", function()
    assert.equal("x", errors.text_of("x"))
    assert.equal("an error that is no text: nil", errors.text_of(nil))
    assert.equal("an error that is no text: table", errors.text_of({}))
    assert.equal("an error that is no text: Thing",
      errors.text_of(setmetatable({}, { __name = "Thing" })))
    assert.equal("shown", errors.text_of(setmetatable({}, {
      __tostring = function()
        return "shown"
      end,
    })))
    assert.equal("an error that cannot be shown",
      errors.text_of(setmetatable({}, { __tostring = error })))
  end)
end)
