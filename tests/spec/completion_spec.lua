-- Tests docs/generate/completion.lua, docs/completion: the files are completed
-- with by the shells themselves.

local host = require("kadenza.host")
local process = require("support.process")
local schema = require("kadenza.cli.schema")
local support = require("support")

local FOLDER <const> = process.folder() .. "/docs/completion"
local SUPPORT <const> = process.folder() .. "/tests/spec/support/completion."

-- How each shell is asked, and how a line of its answer gives words.
local SHELLS <const> = {
  bash = {
    args = { SUPPORT .. "bash", FOLDER .. "/kadenza.bash" },
    words = function(line)
      return { line }
    end,
  },
  zsh = {
    args = { "-f", SUPPORT .. "zsh", FOLDER },
    words = function(line)
      local first = line:match("^(.-) +%-%- ")
      if first then
        return { first }
      end
      local words = {}
      for word in (line .. "  "):gmatch("(%S.-)%s%s+") do
        words[#words + 1] = word
      end
      return words
    end,
  },
  fish = {
    args = { "--no-config", SUPPORT .. "fish", FOLDER .. "/kadenza.fish" },
    words = function(line)
      return { line:match("^[^\t]*") }
    end,
  },
}

-- What zsh lists is between what is typed and what it removes afterwards.
local function listed_by_zsh(text, line)
  local _, to = text:find(line .. "\r\r\n", 1, true)
  return to and text:sub(to + 1, text:find(line .. "\r", to, true) - 1) or ""
end

-- Asks a shell for all lines at once; returns the words, sorted, by line.
local function complete(name, lines, folder)
  local shell = SHELLS[name]
  local args = table.move(shell.args, 1, #shell.args, 1, {})
  table.move(lines, 1, #lines, #args + 1, args)
  local done = process.run(args, { path = name, folder = folder,
    env = { HOME = folder, TERM = "dumb" } })
  assert.equal("", done.stderr)
  local answers = {}
  for i, line in ipairs(lines) do
    local from = select(2, done.stdout:find("== " .. line .. "\n", 1, true))
    local to = lines[i + 1]
      and done.stdout:find("== " .. lines[i + 1] .. "\n", from, true)
    local words, text = {}, done.stdout:sub(from + 1, (to or 0) - 1)
    if name == "zsh" then
      text = listed_by_zsh(text, line)
    end
    for part in text:gmatch("[^\r\n]+") do
      for _, word in ipairs(shell.words(part)) do
        words[#words + 1] = word ~= "" and word or nil
      end
    end
    table.sort(words)
    answers[line] = words
  end
  return answers
end

local CASES <const> = {
  ["kadenza ru"] = { "run" },
  ["kadenza help n"] = { "new" },
  ["kadenza run --lo"] = { "--log", "--lookup-ms" },
  ["kadenza get --q"] = { "--query-ms", "--quorum" },
  ["kadenza run --log "] = schema.BY_NAME.log.choices,
  ["kadenza run --log w"] = { "warn" },
  ["kadenza run --json --id-bits "] = { "160", "256" },
  ["kadenza run --store m"] = { "memory" },
  ["kadenza run --limits o"] = { "off", "on" },
  ["kadenza run --k "] = {},
  ["kadenza run --policy cou"] = { "counter", "counts/" },
  ["kadenza run --policy counter --policy cha"] = { "chat" },
  ["kadenza run --trust coun"] = { "counter", "counts/" },
  ["kadenza check counter con"] = { "config.lua" },
  ["kadenza run con"] = { "config.lua" },
  ["kadenza run --k 20 con"] = { "config.lua" },
  ["kadenza run --state cou"] = { "counts/" },
  ["kadenza dump --state c"] = { "counts/" },
  ["kadenza crawl --state con"] = { "config.lua" },
  ["kadenza new p"] = { "policy" },
  ["kadenza new policy c"] = {},
  ["kadenza sim chu"] = { "churn" },
  ["kadenza get cou"] = {},
}

describe("the completion", function()
  local folder, remove

  setup(function()
    folder, remove = support.temporary_folder()
    os.execute(("cd '%s' && mkdir counts && touch config.lua"):format(folder))
  end)

  teardown(function()
    remove()
  end)

  after_each(process.end_all)

  local lines = {}
  for line in pairs(CASES) do
    lines[#lines + 1] = line
  end
  table.sort(lines)

  for name in pairs(SHELLS) do
    describe("for " .. name, function()
      local answers

      setup(function()
        answers = complete(name, lines, folder)
      end)

      for _, line in ipairs(lines) do
        it("completes '" .. line .. "'", function()
          local expected = table.move(CASES[line], 1, #CASES[line], 1, {})
          table.sort(expected)
          assert.same(expected, answers[line])
        end)
      end
    end)
  end

  it("of bash and fish completes the value behind '='", function()
    for name in pairs({ bash = true, fish = true }) do
      local prefix = name == "fish" and "--log=" or ""
      local answers = complete(name, { "kadenza run --log=w",
        "kadenza run --log=" }, folder)
      assert.same({ prefix .. "warn" }, answers["kadenza run --log=w"])
      assert.equal(#schema.BY_NAME.log.choices,
        #answers["kadenza run --log="])
    end
  end)

  it("has all commands, policies, scenarios and options", function()
    local asked = { "kadenza ", "kadenza run --policy ", "kadenza sim ",
      "kadenza run -" }
    for _, name in ipairs({ "bash", "fish" }) do
      local answers = complete(name, asked, folder)
      local function has(line, word)
        for _, answer in ipairs(answers[line]) do
          if answer == word then
            return true
          end
        end
        return false
      end
      for _, command in ipairs(require("kadenza.cli").commands()) do
        assert.is_true(has("kadenza ", command.name), command.name)
      end
      for line, kind in pairs({ ["kadenza run --policy "] = "policies",
        ["kadenza sim "] = "scenarios" }) do
        for _, word in ipairs(host.shipped(kind)) do
          assert.is_true(has(line, word), word)
        end
      end
      for _, option in ipairs(schema.OPTIONS) do
        assert.is_true(has("kadenza run -", option.flag), option.flag)
      end
    end
  end)
end)
