--- A cache of answers, bounded in bytes. An answer that is not used leaves it
--- when newer ones need the place.
---
---     local answers = cache.new(1 << 20)
---     answers:put("name", { bytes = 812, ends = now + 10 })
---     answers:get("name", now)
---
--- Tested by tests/spec/web/api/cache_spec.lua.

local M = {}

-- What an entry costs beside what it counts itself: its tables and name.
local OVERHEAD <const> = 600

---@class kadenza.web.Answer
---@field bytes integer  that it takes, by its own estimate
---@field ends number  when it is too old, by the clock of `get`

---@class kadenza.web.Cache
---@field private limit integer  bytes of each half
---@field private fresh table<string, kadenza.web.Answer>
---@field private stale table<string, kadenza.web.Answer>  what was not used
---  since `fresh` was full the last time
---@field private bytes integer  of `fresh`
---@field private stale_bytes integer
local Cache = {}
Cache.__index = Cache

--- Makes a cache.
---@param limit integer  bytes
---@return kadenza.web.Cache cache
function M.new(limit)
  return setmetatable({ limit = limit // 2, fresh = {}, stale = {}, bytes = 0,
    stale_bytes = 0 }, Cache)
end

local function cost_of(name, answer)
  return answer.bytes + #name + OVERHEAD
end

-- Removes an answer.
local function remove(self, name)
  local fresh, stale = self.fresh[name], self.stale[name]
  if fresh then
    self.fresh[name] = nil
    self.bytes = self.bytes - cost_of(name, fresh)
  elseif stale then
    self.stale[name] = nil
    self.stale_bytes = self.stale_bytes - cost_of(name, stale)
  end
end

--- Keeps an answer, in place of another of this name. One that is larger than
--- half of the cache is not kept.
---@param name string
---@param answer kadenza.web.Answer
function Cache:put(name, answer)
  remove(self, name)
  local cost = cost_of(name, answer)
  if cost > self.limit then
    return
  elseif self.bytes + cost > self.limit then
    self.stale, self.stale_bytes = self.fresh, self.bytes
    self.fresh, self.bytes = {}, 0
  end
  self.fresh[name] = answer
  self.bytes = self.bytes + cost
end

--- Returns the answer of a name, or nil if there is none that is new enough.
---@param name string
---@param now number
---@return kadenza.web.Answer? answer
function Cache:get(name, now)
  local answer = self.fresh[name]
  local is_stale = not answer
  answer = answer or self.stale[name]
  if not answer then
    return nil
  elseif answer.ends <= now then
    remove(self, name)
    return nil
  elseif is_stale then
    self:put(name, answer)
  end
  return answer
end

--- Removes the answer of a name.
---@param name string
function Cache:forget(name)
  remove(self, name)
end

--- Returns the bytes that the answers take, by estimate.
---@return integer bytes
function Cache:size()
  return self.bytes + self.stale_bytes
end

return M
