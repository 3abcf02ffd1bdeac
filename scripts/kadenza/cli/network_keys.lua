--- Files with network keys, which `keygen --network` writes, and the options
--- `network_key` and `network_passphrase_file`, which name them: reads them at
--- the start and at SIGHUP. A file without a passphrase:
--
--     kadenza network key 1
--     key 64 hexadecimal digits
--
-- With one, the second line is replaced: see kadenza.sealed_lines. Keys are
-- objects of the core that wipe themselves, and only their fingerprints are
-- shown.
--
-- Tested by tests/spec/cli/network_keys_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local log = require("kadenza.log")
local passphrase = require("kadenza.cli.passphrase")
local sealed_lines = require("kadenza.sealed_lines")

local M = {}

local FLAG <const> = "--network-key"
local PASSPHRASE_FLAG <const> = "--network-passphrase-file"
local SIZE <const> = 32
local VERSION <const> = 1

--- Returns the text of a file with a key.
---@param key kadenza.NetworkKey
---@param phrase? kadenza.core.Passphrase  seals it
---@return string text
function M.format(key, phrase)
  if not phrase then
    return ("kadenza network key %d\nkey %s\n"):format(VERSION,
      core.hex(key:bytes()))
  end
  local lines, message, code = sealed_lines.format(phrase, key:bytes())
  if not lines then
    fault.failed(message, code)
  end
  return ("kadenza network key %d\n%s"):format(VERSION, lines)
end

local function not_a_key(flag, path, why)
  fault.misuse("%s %s: not a network key file of `kadenza keygen "
    .. "--network`%s", flag, path, why or "")
end

-- Returns what the text of a file has sealed; raises a fault if that is not
-- whole.
local function need_sealed(flag, path, text)
  local version, lines = text:gsub("\r\n", "\n")
    :match("^kadenza network key (%d+)\n(.*)$")
  if not version then
    not_a_key(flag, path)
  elseif sealed_lines.is_newer(version, VERSION) then
    fault.misuse("%s %s: a newer version of kadenza has made it", flag, path)
  end
  return sealed_lines.parse(lines, SIZE)
    or not_a_key(flag, path, ": it is damaged")
end

-- Returns the key that a passphrase opens.
local function open(flag, path, sealed, phrase)
  local key, message, code = phrase:open_network_key(sealed)
  if code == "KAD_EINVAL" then
    not_a_key(flag, path, ": " .. message)
  elseif not key then
    fault.failed(("%s %s: %s"):format(flag, path, message), code)
  end
  return key
end

-- Reads the key in a file; returns its text, too, if a passphrase seals it.
-- `get_phrase` returns the passphrase, to be closed.
local function read_file(flag, path, get_phrase)
  fault.checked(flag, input.path(path))
  local key = fault.read(flag, core.read_network_key(path))
  passphrase.warn_if_shared(path)
  if type(key) ~= "string" then
    return key
  end
  local sealed = need_sealed(flag, path, key)
  local phrase <close> = get_phrase(path, key)
  return open(flag, path, sealed, phrase), key
end

--- Reads the key in a file; raises a fault if there is none, or the passphrase
--- is wrong. Asks for a passphrase that is needed and not given.
---@param flag string  that named the file
---@param path string
---@param file? string  that has the passphrase
---@return kadenza.NetworkKey key
function M.read_file(flag, path, file)
  local key, text = read_file(flag, path, function()
    return passphrase.of(path, file)
  end)
  if file and not text then
    fault.misuse("--passphrase-file %s: %s has no passphrase", file, path)
  end
  return key
end

--- The network keys of a command.
---@class kadenza.cli.NetworkKeys
---@field keys kadenza.NetworkKey[]
---@field by_text table<string, kadenza.NetworkKey>  those that a passphrase
---  seals, by the text of their file

--- Reads the files of the options; raises a fault for one that is wrong. Asks
--- for a passphrase that is needed and not given.
---@param settings table  options by name
---@return kadenza.cli.NetworkKeys? read  nil without the option
function M.read(settings)
  local file = settings.network_passphrase_file
  if #settings.network_key == 0 then
    if file then
      fault.misuse("%s is for the file of %s", PASSPHRASE_FLAG, FLAG)
    end
    return nil
  end
  local read = { keys = {}, by_text = {} }
  for i, path in ipairs(settings.network_key) do
    local key, text = read_file(FLAG, path, function()
      return passphrase.of(path, file, PASSPHRASE_FLAG)
    end)
    read.keys[i] = key
    if text then
      read.by_text[text] = key
    end
  end
  return read
end

--- Returns the fingerprints of keys: of the one that seals, and of the other.
---@param read kadenza.cli.NetworkKeys
---@return string first
---@return string? second
function M.fingerprints(read)
  local second = read.keys[2]
  return read.keys[1]:fingerprint(), second and second:fingerprint()
end

--- Logs which keys are in use.
---@param read? kadenza.cli.NetworkKeys
function M.report(read)
  if read then
    local first, second = M.fingerprints(read)
    log.info("network key in use", { fingerprint = first, accepts = second })
  end
end

------------------------------------------------------------------ reload --

-- A passphrase's place for a key that is known.
local Known = {}
Known.__index = Known
Known.__close = function() end

function Known:open_network_key()
  return self.key
end

-- Reads the files again, without asking. A file that has not changed needs no
-- passphrase, and no work to derive a key from it, which would stop the node.
local function read_again(settings, before)
  local read = { keys = {}, by_text = {} }
  local file = settings.network_passphrase_file
  for i, path in ipairs(settings.network_key) do
    local key, text = read_file(FLAG, path, function(_, text)
      if before.by_text[text] then
        return setmetatable({ key = before.by_text[text] }, Known)
      elseif file then
        return passphrase.from_file(PASSPHRASE_FLAG, file)
      end
      fault.misuse("%s %s has a passphrase, which needs %s FILE here", FLAG,
        path, PASSPHRASE_FLAG)
    end)
    read.keys[i] = key
    if text then
      read.by_text[text] = key
    end
  end
  return read
end

-- Returns what the files have, or nil and a message.
local function try_read(settings, before)
  local succeeded, result = pcall(read_again, settings, before)
  if succeeded then
    return result
  elseif fault.is(result) then
    return nil, result.message
  end
  error(result, 0)
end

local function are_same(a, b)
  local first, second = M.fingerprints(a)
  local other, another = M.fingerprints(b)
  return first == other and second == another
end

-- Returns the keys that the node has now, or nil and why they stay.
local function reload(node, before, wanted)
  if (before == nil) ~= (#wanted.network_key == 0) then
    return nil, "a node is sealed, or not, from its start to its end: restart "
      .. "it"
  end
  local read, message = try_read(wanted, before)
  if not read then
    return nil, message
  elseif not are_same(before, read) then
    local set, problem = node:set_network_key(read.keys)
    if not set then
      return nil, problem
    end
    M.report(read)
  end
  return read
end

--- Reads the files again, and sets the keys of the node. A mistake changes
--- nothing: `wanted` has the options of before then.
---@param node kadenza.Node
---@param before table  options by name; `network_keys` has what was read
---@param wanted table  options by name
---@return { name: string, error: string? }[] kept  the options that stay as
---  they were, and why
function M.reload(node, before, wanted)
  wanted.network_keys = before.network_keys
  if not before.network_keys and #wanted.network_key == 0 then
    return {}
  end
  local read, message = reload(node, before.network_keys, wanted)
  if read then
    wanted.network_keys = read
    return {}
  end
  log.warn("network key not read, the old one stays", { error = message })
  wanted.network_key = before.network_key
  wanted.network_passphrase_file = before.network_passphrase_file
  return { { name = "network_key", error = message },
    { name = "network_passphrase_file" } }
end

return M
