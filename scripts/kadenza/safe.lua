--- The part of the library that can use only the current network: in a policy,
--- `require "kadenza"` returns it; elsewhere `kadenza` extends it. Tested by
--- tests/spec/sandbox_spec.lua, tests/spec/init_spec.lua.

local box = require("kadenza.box")
local core = require("kadenza.core")
local group = require("kadenza.group")
local item = require("kadenza.item")
local key = require("kadenza.key")
local log = require("kadenza.log")
local task = require("kadenza.task")

---@class kadenza.Safe
local M = { _VERSION = "kadenza 0.1.0" }

---@alias kadenza.Code
---| "KAD_EINVAL" | "KAD_ENOMEM" | "KAD_ETIMEOUT" | "KAD_ECANCELED"
---| "KAD_ECLOSED" | "KAD_EMALFORMED" | "KAD_ETOOBIG" | "KAD_ENOTFOUND"
---| "KAD_ENOCONTACTS" | "KAD_EREMOTE" | "KAD_EREFUSED" | "KAD_EMARTIAN"
---| "KAD_EOWNID" | "KAD_ESUBNET" | "KAD_EADDRESS" | "KAD_EID" | "KAD_EFULL"
---| "KAD_EBUSY" | "KAD_ETYPE" | "KAD_EQUOTA" | "KAD_ESIGNATURE"
---| "KAD_ECONFLICT" | "KAD_ESYSTEM" | "KAD_EADDRINUSE" | "KAD_EACCESS"
---| "KAD_ERESOLVE" | "KAD_EFAMILY" | "KAD_EADDRNOTAVAIL"
---| "KAD_ECODEC" | "KAD_ENOROUTE" | "KAD_EFEWER" | "KAD_ECAS"
---| "KAD_ESEQ" | "KAD_EBLOCKED"

--- The version, such as "0.1.0".
---@type string
M.version = core.version

M.log = log

M.key = key.of
M.hex = key.hex
M.unhex = key.unhex
M.secure_id = key.secure_id
M.bind_id = key.bind_id
M.is_secure_id = key.is_secure_id
M.distance = key.distance
M.compare = key.compare
M.keypair = key.keypair
M.sign = key.sign
M.verify = key.verify
M.hash = key.hash

--- Seals texts for one recipient: see `kadenza.box`.
M.box = box

M.immutable_target = item.immutable_target
M.mutable_target = item.mutable_target

--- Bencode: `encode(value)` raises, and names the place, if bencode cannot
--- represent the value; `decode(bytes)` returns the value or nil, message,
--- code. An empty table is an empty list.
M.bencode = { encode = core.encode, decode = core.decode }

M.wait = task.wait
M.sleep = task.sleep
M.all = group.all
M.race = group.race
M.timeout = group.timeout

--- Starts a task in the current network.
---@param fn async fun(...): ...
---@param ... any
---@return kadenza.Task task
function M.spawn(fn, ...)
  return task.spawn(task.network(), fn, ...)
end

--- Returns the seconds of the current network's clock.
---@return number seconds
function M.now()
  return task.network():now()
end

local MAX_RANDOM <const> = 65536

--- Returns random bytes: of the system, or in virtual time from the seed.
---@param count integer  at most 65536
---@return string bytes
function M.random(count)
  if math.type(count) ~= "integer" or count < 0 or count > MAX_RANDOM then
    error("the number of bytes must be an integer of 0 to " .. MAX_RANDOM, 2)
  end
  return task.network():random(count)
end

--- Returns the whole seconds since 1970 UTC: of the machine's clock, or of
--- virtual time, which begins with the year 2020.
---@return integer seconds
function M.time()
  return task.network():time()
end

return M
