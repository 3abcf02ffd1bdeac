--- What a node makes of the addresses and names through which it joins: which
--- of them are of no use, and why.
--- Tested by tests/spec/bootstrap_spec.lua.

local core = require("kadenza.core")

local M = {}

local MAX_HOST <const> = 253
local MAX_LABEL <const> = 63

-- Addresses and names that a message lists.
local MAX_SHOWN <const> = 8

local UNRESOLVED <const> = {
  unknown = "name could not be resolved",
  ["no server"] = "name could not be resolved",
  resolving = "no name server has answered yet",
  ["no descriptor"] = "getaddrinfo: Too many open files (`ulimit -n` sets the "
    .. "limit)",
}

--- What is wrong if a name cannot be resolved for lack of a descriptor.
M.NO_DESCRIPTOR = UNRESOLVED["no descriptor"]

--- Tells whether an address is one that nodes ignore without allow_local, such
--- as a loopback or private one, or a name that always leads to one (RFC 6761).
---@param address string
---@return boolean
function M.is_local(address)
  return core.is_local(address)
    or ("." .. address:lower()):find("%.localhost%.?:%d+$") ~= nil
end

--- Tells whether an address is of a block that no node uses, so that nodes
--- ignore it even with allow_local: for documentation, multicast or later use.
---@param address string
---@return boolean
M.is_reserved = core.is_reserved

-- Returns what is wrong with a host, or nil.
local function host_problem(host)
  if host:find("[\128-\255]") then
    return "is not ASCII: write an international name as it is in the DNS, "
      .. "such as xn--bcher-kva.example"
  elseif #host > MAX_HOST then
    return ("has a name of more than %d bytes"):format(MAX_HOST)
  elseif not host:find("^[%w._-]+$") or host:find("^[%d.]+$") then
    return nil, true
  end
  for label in (host:gsub("%.$", "") .. "."):gmatch("([^.]*)%.") do
    if #label == 0 then
      return "has an empty part between dots"
    elseif #label > MAX_LABEL then
      return ("has a part of more than %d bytes"):format(MAX_LABEL)
    end
  end
end

--- Checks "HOST:PORT".
---@param text string
---@return boolean valid
---@return string? problem  such as "is not ASCII"; nil if it is no such text
function M.check(text)
  if core.address(text) then
    return true
  end
  local host, port = text:match("^([^:]*):(%d+)$")
  if not host then
    return false
  elseif #port > 5 or tonumber(port) < 1 or tonumber(port) > 65535 then
    return false, "has a port that is not from 1 to 65535"
  end
  local problem, is_other = host_problem(host)
  return problem == nil and not is_other, problem
end

--- Returns the texts that are addresses or names, and the problems of others.
---@param texts string[]
---@return string[] valid
---@return { code: kadenza.Code, message: string }[] problems
function M.split(texts)
  local valid, problems = {}, {}
  for _, text in ipairs(texts) do
    local is_valid, problem = M.check(text)
    if is_valid then
      valid[#valid + 1] = text
    else
      problems[#problems + 1] = {
        code = "KAD_EINVAL",
        message = problem and ("%s %s"):format(text, problem) or text
          .. ": no address such as 192.0.2.1:6881 or example.org:6881",
      }
    end
  end
  return valid, problems
end

-- Why an address is of no use, by code.
local USELESS <const> = {
  KAD_EOWNID = "an address of this node",
  KAD_EBLOCKED = "an address that is blocked",
  KAD_ENOROUTE = "an address to which no socket of this node has a route "
    .. "(listen on an address that has one)",
}

-- Why an address is of no use: that of a text, or the text itself.
local function useless(text, address, code, option)
  local is_name = text ~= address
  local leads = is_name and ("%s leads to %s, "):format(text, address)
    or text .. " is "
  if USELESS[code] then
    return leads .. USELESS[code]
  elseif code == "KAD_EFAMILY" then
    local family = address:find("^%[") and "IPv6" or "IPv4"
    return ("%san %s address, and no socket of this node serves %s (listen on "
      .. "%s, too)"):format(leads, family, family,
      family == "IPv6" and "[::]:0" or "0.0.0.0:0")
  elseif M.is_local(address) then
    return ("%sa local address, which needs %s"):format(leads, option)
  end
  return leads .. "no address of a node"
end

-- Which of several codes a name's problem has.
local RANK <const> = { KAD_EMARTIAN = 5, KAD_EFAMILY = 4, KAD_ENOROUTE = 3,
  KAD_EBLOCKED = 2, KAD_EOWNID = 1 }

-- Returns the problems of the addresses of a text, by code, and whether some
-- address has none.
local function address_problems(handle, text, addresses, option)
  local problems, is_usable = {}, false
  for _, address in ipairs(addresses) do
    local can, _, code = handle:check_address(address)
    local kind = RANK[code] and code or "KAD_EMARTIAN"
    if can then
      is_usable = true
    elseif not problems[kind] then
      problems[kind] = { text = text, code = kind,
        message = useless(text, address, code, option) }
    end
  end
  return problems, is_usable
end

-- Returns the problem of a text with these addresses, or nil. A name is the
-- node's own if one of its addresses is, and the node can use no other.
local function problem_of(handle, text, addresses, option)
  local problems, is_usable = address_problems(handle, text, addresses, option)
  if problems.KAD_EOWNID and not is_usable then
    return problems.KAD_EOWNID
  end
  local worst
  for code, problem in pairs(problems) do
    if not worst or RANK[code] > RANK[worst.code] then
      worst = problem
    end
  end
  if worst then
    worst.is_partial = is_usable
  end
  return worst
end

local function names_of(handle)
  local names = {}
  for _, info in ipairs(handle:names()) do
    names[info.name] = info
  end
  return names
end

---@class kadenza.BootstrapProblem
---@field text string  the address or name
---@field code kadenza.Code
---@field message string
---@field is_address? boolean  the text is an address, not a name
---@field is_partial? boolean  other addresses of the name are of use
---@field is_pending? boolean  the name has not been resolved yet
---@field no_server? boolean  no name server answers

--- Returns the problems of addresses and names that a node joins through.
---@param handle kadenza.core.Node
---@param texts string[]
---@param option? string  what allows local addresses, "allow_local"
---@return kadenza.BootstrapProblem[] problems
function M.problems(handle, texts, option)
  local names, problems = names_of(handle), {}
  for _, text in ipairs(texts) do
    local info = names[text]
    local address = core.address(text)
    local problem
    if info and info.state ~= "resolved" and #info.addresses == 0 then
      problem = { text = text, code = "KAD_ERESOLVE",
        message = ("%s: %s"):format(text, UNRESOLVED[info.state]),
        is_pending = info.state == "resolving",
        no_server = info.state == "no server" }
    else
      problem = problem_of(handle, text,
        info and info.addresses or { address }, option or "allow_local")
    end
    if problem then
      problem.is_address = address ~= nil
      problems[#problems + 1] = problem
    end
  end
  return problems
end

-- Returns those of `texts` that have no problem, or only a partial one.
local function without_problems(texts, problems)
  local has_problem, usable = {}, {}
  for _, problem in ipairs(problems) do
    has_problem[problem.text] = not problem.is_partial
  end
  for _, text in ipairs(texts) do
    if not has_problem[text] then
      usable[#usable + 1] = text
    end
  end
  return usable
end

-- Returns the first texts, and how many more there are.
local function shown(texts)
  local more = #texts - MAX_SHOWN
  if more <= 0 then
    return table.concat(texts, ", ")
  end
  return ("%s and %d more"):format(table.concat(texts, ", ", 1, MAX_SHOWN),
    more)
end

-- Returns the problems of texts that are of no use at all.
local function whole(problems)
  local found = {}
  for _, problem in ipairs(problems) do
    found[#found + 1] = not problem.is_partial and problem or nil
  end
  return found
end

-- Returns the message of the first problem with `code`, and the texts of the
-- others that have it; nil if none has.
local function message_of(problems, code)
  local message, others = nil, {}
  for _, problem in ipairs(problems) do
    if problem.code == code and message then
      others[#others + 1] = problem.text
    elseif problem.code == code then
      message = problem.message
    end
  end
  return #others > 0 and ("%s; the same holds for %s"):format(message,
    shown(others)) or message
end

-- Returns the messages of problems, one a code, that of `first` first.
local function messages_of(problems, first)
  local messages, told = { message_of(problems, first) }, { [first] = true }
  for _, problem in ipairs(problems) do
    if not told[problem.code] then
      told[problem.code] = true
      messages[#messages + 1] = message_of(problems, problem.code)
    end
  end
  return table.concat(messages, "; ")
end

--- Returns the message of a join that has failed.
---@param handle kadenza.core.Node
---@param texts string[]
---@param message string  of the core
---@param code kadenza.Code
---@param option? string  as of `problems`
---@return string message
function M.explain(handle, texts, message, code, option)
  if #texts == 0 or not handle:is_open() then
    return message
  end
  local problems = M.problems(handle, texts, option)
  local usable = without_problems(texts, problems)
  if #usable == 0 then
    return messages_of(problems, code)
  elseif code ~= "KAD_ENOCONTACTS" then
    return message
  end
  local unusable = whole(problems)
  return "no reply from " .. shown(usable)
    .. (#unusable > 0 and "; " .. messages_of(unusable, code) or "")
end

--- Returns why a node that is joining or isolated may have nothing to join
--- through, or nil.
---@param handle kadenza.core.Node
---@return string? reason
function M.reason(handle)
  local names, no_server, failed = handle:names(), {}, {}
  for _, info in ipairs(names) do
    if info.state == "no server" then
      no_server[#no_server + 1] = info.name
    elseif info.state == "unknown" then
      failed[#failed + 1] = info.name
    end
  end
  if #no_server > 0 then
    return "no name server answers for " .. table.concat(no_server, ", ")
  elseif #failed > 0 then
    return "no such name: " .. table.concat(failed, ", ")
  end
end

return M
