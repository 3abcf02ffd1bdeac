--- Runs the program on a terminal of its own, by terminal.py.
--
--     local terminal = require("tests.spec.support.terminal")
--     local done = terminal.run({ "version" }, { columns = 80 })

local process = require("tests.spec.support.process")

local M = {}

local SCRIPT <const> = process.folder() .. "/tests/spec/support/terminal.py"

--- Runs the program until it ends; `stdout` of the result is what the terminal
--- got, or what it shows.
---@param args string[]
---@param options? { columns?: integer, background?: boolean, screen?: boolean,
---  seconds?: number, interrupt?: boolean, answers?: string[],
---  env?: table<string, string>, folder?: string }  `answers` are typed at
---  prompts
---@return table process
function M.run(args, options)
  options = options or {}
  local all = { SCRIPT, "--seconds", ("%g"):format(options.seconds or 60) }
  all[#all + 1] = options.background and "--background" or nil
  all[#all + 1] = options.interrupt and "--interrupt" or nil
  all[#all + 1] = options.screen and "--screen" or nil
  for _, answer in ipairs(options.answers or {}) do
    all[#all + 1] = "--answer"
    all[#all + 1] = answer
  end
  all[#all + 1] = ("%d"):format(options.columns or 80)
  all[#all + 1] = process.program()
  table.move(args, 1, #args, #all + 1, all)
  return process.run(all, { path = "/usr/bin/python3", folder = options.folder,
    env = options.env or { TERM = "xterm" } })
end

--- Returns the lines of a text.
---@param text string
---@return string[] lines
function M.lines(text)
  local lines = {}
  for line in (text:gsub("\r", "") .. "\n"):gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line
  end
  return lines
end

return M
