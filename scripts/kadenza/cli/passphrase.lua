--- Passphrases of secret keys: from a file, or typed at the terminal, which
--- does not show them. They are objects of the core that wipe themselves, and
--- never strings.
---
--- Tested by tests/spec/cli/secret_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local log = require("kadenza.log")
local shown = require("kadenza.shown")

local M = {}

---@class kadenza.core.Passphrase

--- Warns of a file with a secret that other users can read.
---@param path string
function M.warn_if_shared(path)
  if core.is_shared(path) then
    log.warn("other users may read or change a file with a secret: run "
      .. "`chmod 600` on it", { file = path })
  end
end

--- Reads the passphrase in a file, one line.
---@param flag string  that named the file
---@param path string
---@return kadenza.core.Passphrase passphrase
function M.from_file(flag, path)
  fault.checked(flag, input.path(path))
  local passphrase, message, code = core.read_passphrase(path)
  if code == "KAD_EINVAL" then
    fault.misuse("%s %s: %s", flag, path, message)
  end
  fault.read(flag, passphrase, message, code)
  M.warn_if_shared(path)
  return passphrase
end

-- Asks for a passphrase; `flag` could have named a file instead.
local function ask(prompt, flag)
  local passphrase, message, code = core.ask_passphrase(prompt)
  if passphrase then
    return passphrase
  elseif code == "KAD_ENOTFOUND" then
    fault.misuse("%s FILE is needed for the passphrase: %s", flag, message)
  end
  fault.failed("passphrase: " .. message, code)
end

--- Returns the passphrase of a file with a secret key: that in `file`, or what
--- the user types.
---@param path string
---@param file? string  of `flag`
---@param flag? string  that names `file`; --passphrase-file without one
---@return kadenza.core.Passphrase passphrase
function M.of(path, file, flag)
  flag = flag or "--passphrase-file"
  return file and M.from_file(flag, file)
    or ask(("Passphrase of %s: "):format(shown.line(path)), flag)
end

--- Returns a new passphrase for a file: that in `file`, or what the user types
--- twice.
---@param path string
---@param flag string  that names `file`
---@param file? string
---@return kadenza.core.Passphrase passphrase
function M.new_for(path, flag, file)
  if file then
    return M.from_file(flag, file)
  end
  local passphrase =
    ask(("New passphrase of %s: "):format(shown.line(path)), flag)
  local again <close> = ask("The same again: ", flag)
  if not passphrase:equals(again) then
    fault.failed("the two passphrases differ")
  end
  return passphrase
end

return M
