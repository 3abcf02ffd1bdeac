-- Tests docs/generate/manual.lua: the page that `make docs` writes.

local core = require("kadenza.core")
local cli = require("kadenza.cli")
local schema = require("kadenza.cli.schema")
local support = require("tests.spec.support")

local PAGE <const> = "docs/kadenza.1"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

describe("the manual page", function()
  local folder, remove, text, complaints

  setup(function()
    folder, remove = support.temporary_folder()
    -- Without the sanitizer of the specs.
    assert.equal(0, core.spawn({ "env", "-u", "LD_PRELOAD", "groff", "-k",
      "-man", "-Tutf8", "-ww", "-rLL=200n", "-P-cbou", PAGE },
      { output = folder .. "/text", errors = folder .. "/errors" }))
    text, complaints = read(folder .. "/text"), read(folder .. "/errors")
    text = text:gsub("\u{2010}", "-"):gsub("\u{2212}", "-")
  end)

  teardown(function()
    remove()
  end)

  it("is formatted without a warning", function()
    assert.equal("", complaints)
  end)

  it("has every command with its summary of arguments", function()
    for _, command in ipairs(cli.commands()) do
      assert.is_truthy(text:find(("kadenza %s [OPTION]... %s"):format(
        command.name, command.module.usage):gsub(" $", ""), 1, true),
        command.name)
    end
  end)

  it("has every option, and its variable", function()
    local options = text:match("\nOPTIONS(\n.-)\nENVIRONMENT\n")
    local variables = text:match("\nENVIRONMENT(\n.-)\nFILES\n")
    for _, option in ipairs(schema.OPTIONS) do
      assert.matches("\n +" .. option.flag:gsub("%-", "%%-") .. "[%s]",
        options)
      assert.matches("\n +" .. schema.variable(option) .. "[%s]", variables)
    end
  end)

  it("has the sections that readers look for", function()
    local last = 0
    for _, name in ipairs({ "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS",
      "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS", "SIGNALS", "EXAMPLES" })
    do
      local at = text:find("\n" .. name .. "\n", 1, true)
      assert.is_truthy(at and at > last, name)
      last = at
    end
  end)

  it("prints what the shell takes: hyphens, not dashes", function()
    assert.is_nil(read(PAGE):find("[^\\]%-%-"))
  end)
end)
