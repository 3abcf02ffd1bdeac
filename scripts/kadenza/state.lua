--- The state of a node on disk: its id and its contacts, one bencoded file.
--
-- It is written beside the old one, flushed to the disk and renamed over it:
-- whoever reads it finds the old state or the new. A file that cannot be read
-- back is set aside and said; the node starts without it.

local core = require("kadenza.core")
local log = require("kadenza.log")

local M = {}

local FILE <const> = "node.state"
local VERSION <const> = 1

--- Contacts that are saved at most.
M.MAX_CONTACTS = 200

local function path_of(folder)
  return folder .. "/" .. FILE
end

-- Returns the addresses of a decoded list of contacts; nil if it is no such.
local function read_contacts(list)
  if type(list) ~= "table" then
    return nil
  end
  local addresses = {}
  for _, text in ipairs(list) do
    local address = type(text) == "string" and core.address(text)
    if not address then
      return nil
    end
    addresses[#addresses + 1] = address
  end
  return addresses
end

-- Returns the state that `bytes` hold, or nil and what is wrong.
local function read(bytes)
  local value = core.decode(bytes)
  if type(value) ~= "table" or value.version ~= VERSION then
    return nil, "it is not a state of version " .. VERSION
  end
  local contacts = read_contacts(value.contacts)
  local id = value.id
  if not contacts or type(id) ~= "string" or (#id ~= 20 and #id ~= 32) then
    return nil, "its fields are wrong"
  end
  return { id = id, contacts = contacts }
end

local function set_aside(path, why)
  local aside = path .. ".corrupt"
  local renamed, message = os.rename(path, aside)
  log.warn("the saved state is corrupt and was set aside", {
    file = path,
    aside = renamed and aside or message,
    error = why,
  })
end

--- Loads the state in `folder`, which is made if it is not there. Without a
--- state, or with a corrupt one, the result has no id and no contacts.
---@param folder string
---@return { id?: string, contacts: string[] }? state
---@return string? message
---@return kadenza.Code? code
function M.load(folder)
  local made, message, code = core.make_folder(folder)
  if not made then
    return nil, message, code
  end
  local path = path_of(folder)
  local file, why, number = io.open(path, "rb")
  if not file then
    if number == 2 then -- ENOENT: there was no state yet
      return { contacts = {} }
    end
    return nil, why, "KAD_EACCESS"
  end
  local bytes, failure = file:read("a")
  file:close()
  if not bytes then
    return nil, path .. ": " .. failure, "KAD_ESYSTEM"
  end
  local state, problem = read(bytes)
  if not state then
    set_aside(path, problem)
    return { contacts = {} }
  end
  return state
end

-- Good contacts first, and the most recently seen of them.
local function choose(contacts)
  local chosen = table.move(contacts, 1, #contacts, 1, {})
  table.sort(chosen, function(a, b)
    if a.good ~= b.good then
      return a.good
    elseif a.idle ~= b.idle then
      return a.idle < b.idle
    end
    return a.address < b.address
  end)
  local addresses = {}
  for i = 1, math.min(#chosen, M.MAX_CONTACTS) do
    addresses[i] = chosen[i].address
  end
  return addresses
end

--- Saves a state in `folder`. While the node knows nobody, the contacts that
--- were saved before stay.
---@param folder string
---@param state { id: string, contacts: kadenza.Contact[], before: string[] }
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function M.save(folder, state)
  local contacts = choose(state.contacts)
  return core.write_file(path_of(folder), core.encode({
    version = VERSION,
    id = state.id,
    contacts = contacts[1] and contacts or state.before,
  }))
end

return M
