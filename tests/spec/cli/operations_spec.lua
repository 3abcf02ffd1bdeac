-- The documents match the program.
--
-- Tests docs/operations.md, docs/kadenza.1.

local literal = require("kadenza.literal")
local schema = require("kadenza.cli.schema")

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function assert_row(text, ...)
  local row = "\n| " .. table.concat({ ... }, " | ") .. " |\n"
  assert.is_truthy(text:find(row, 1, true), row)
end

describe("docs/operations.md", function()
  local text = read("docs/operations.md")

  it("lists every option with default, unit, range and reload", function()
    for _, option in ipairs(schema.OPTIONS) do
      local default = option.default ~= nil
        and "`" .. literal.format(option.default) .. "`" or ""
      local range = option.kind == "number"
        and ("%d to %d"):format(option.min, option.max) or ""
      assert_row(text, "`" .. option.name .. "`", default, option.unit or "",
        range, option.live and "yes" or "", option.text)
    end
  end)

  it("lists every counter of a node", function()
    local map = read("core/kadenza.h"):match("KAD_STATS_MAP%(X%)(.-)\n\n")
    local count = 0
    for name, meaning in map:gmatch('X%(([%w_]+),%s+"([^"]*)"%)') do
      assert_row(text, "`" .. name .. "`", meaning)
      count = count + 1
    end
    assert.is_true(count > 30)
  end)

  it("lists every counter under the name that Lua has for it", function()
    local kad = require("kadenza")
    kad.run(function()
      local node = assert(kad.node({ listen = "127.0.0.1:0" }))
      for name in pairs(node:stats()) do
        assert.is_truthy(text:find("\n| `" .. name .. "` | ", 1, true), name)
      end
    end)
  end)
end)

describe("the log", function()
  -- Joins strings that are concatenated over two lines.
  local sources = {}
  for path in io.popen("find scripts/kadenza -name '*.lua'"):lines() do
    sources[#sources + 1] = read(path):gsub('"%s*%.%.%s*"', "")
  end
  local text = table.concat(sources, "\n")

  local rows = read("docs/operations.md"):match("\n| event | level |(.-)\n\n")
  for event in rows:gmatch("\n| `([^`]*)` | %a+ |") do
    it("has the event that the document lists: " .. event, function()
      assert.is_truthy(text:find('"' .. event .. '"', 1, true))
    end)
  end
end)

describe("the unit of systemd", function()
  local unit = read("packaging/systemd/kadenza.service")

  it("starts the node again for as long as it takes", function()
    for _, line in ipairs({ "StartLimitIntervalSec=0", "Restart=always",
      "RestartSec=5", "RestartPreventExitStatus=2" }) do
      assert.is_truthy(unit:find("\n" .. line .. "\n", 1, true), line)
    end
    assert.is_true(unit:find("StartLimit", 1, true)
      < unit:find("[Service]", 1, true))
  end)
end)

describe("the time that peers are kept", function()
  local seconds = read("core/records/type.c"):match("PEER_TTL_S = (%d+)")
  local time = (" %d minutes"):format(seconds // 60)

  for _, path in ipairs({ "core/records/type.h", "docs/decisions.md",
    "scripts/kadenza/cli/announce.lua" })
  do
    it("is the same in " .. path, function()
      assert.is_truthy(read(path):find(time, 1, true), time)
    end)
  end
end)

describe("docs/kadenza.1", function()
  it("lists every option", function()
    local text = read("docs/kadenza.1"):gsub("\\%-", "-")
    for _, option in ipairs(schema.OPTIONS) do
      local words = "\n" .. option.text
      assert.is_truthy(text:find(words, 1, true), words)
      assert.is_truthy(text:find(" " .. option.flag, 1, true), option.flag)
    end
  end)
end)
