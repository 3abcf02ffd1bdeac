--- Random numbers of an attacker: the same seed gives the same numbers,
--- whatever else uses `math.random`.
--
--     local dice = Dice.new(7)
--     dice:below(6)          --> 0 … 5
--     dice:pick({ "a", "b" })

local Dice = {}
Dice.__index = Dice

local STEP <const> = 0x9e3779b97f4a7c15

--- Returns the number that follows from another one: splitmix64.
---@param state integer
---@return integer number
function Dice.mix(state)
  state = (state ~ state >> 30) * 0xbf58476d1ce4e5b9
  state = (state ~ state >> 27) * 0x94d049bb133111eb
  return state ~ state >> 31
end

---@param seed integer
function Dice.new(seed)
  return setmetatable({ state = seed }, Dice)
end

--- Returns 64 random bits.
---@return integer bits
function Dice:next()
  self.state = self.state + STEP
  return Dice.mix(self.state)
end

--- Returns an integer of 0 to `count` - 1.
---@param count integer
---@return integer number
function Dice:below(count)
  return (self:next() >> 1) % count
end

--- Returns true once in `count` times.
---@param count integer
---@return boolean
function Dice:one_in(count)
  return self:below(count) == 0
end

--- Returns an item of a list.
---@param list any[]
---@return any item
function Dice:pick(list)
  return list[self:below(#list) + 1]
end

--- Returns `count` random bytes.
---@param count integer
---@return string bytes
function Dice:bytes(count)
  local bytes = {}
  for i = 1, count do
    bytes[i] = string.char(self:below(256))
  end
  return table.concat(bytes)
end

return Dice
