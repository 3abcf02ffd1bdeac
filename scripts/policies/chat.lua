--- chat: rooms, who is in them, and a few words.
--
-- Two things that go together: *presence* records say who is in a room, and
-- vanish by themselves a minute after their owner falls silent; the custom
-- queries `chat_say` and `chat_read` leave and fetch messages at one node.
--
-- Rules
--   * Presence is a signed record under kad.key("room:" .. room). Its value is
--     a name of 1 to 32 printable bytes, and it has a sequence number: the
--     highest one of each key counts, so old records cannot be played again.
--   * It lives 60 seconds, so store it anew every 20 or so, with a higher seq.
--     The nodes that hold it republish it every 20 seconds, with the life that
--     is left, so that it survives their comings and goings, but not its owner.
--   * A room has 64 people.
--   * chat_say { room, name, text } answers { number }, that of the message;
--     chat_read { room, after } answers { messages, last }, the oldest messages
--     after that number, each { number, name, text, from }, as many as fit.
--   * A node keeps the last 50 messages of each of 100 rooms, in memory.
--
-- From the command line
--
--     kadenza run --policy chat.lua
--     kadenza keygen me.key
--     kadenza put room:lobby ann --type presence --key me.key --seq 1 \
--       --policy chat.lua --bootstrap 127.0.0.1:6881
--     kadenza get room:lobby --all --type presence --policy chat.lua \
--       --bootstrap 127.0.0.1:6881
--
-- From Lua
--
--     local lobby, me = kad.key("room:lobby"), kad.keypair()
--     kad.spawn(function()
--       for seq = os.time(), math.huge do
--         node:put(lobby, "ann",
--           { type = "presence", secret = me.secret, seq = seq })
--         kad.sleep(20)
--       end
--     end)
--     local people = node:get(lobby, { type = "presence", all = true })
--     for _, who in ipairs(people or {}) do
--       print(who.value)
--     end
--     local host = "192.0.2.1:6881" -- the node where this room meets
--     node:call(host, "chat_say",
--       { room = "lobby", name = "ann", text = "hello" })
--     print(node:call(host, "chat_read", { room = "lobby" }).messages[1].text)
--
-- Limits: messages are not signed and not private, and are gone when the node
-- ends or reloads its policies. Sequence numbers from a clock that was wrong
-- lock their owner out for a minute.

local MAX_NAME <const> = 32
local MAX_TEXT <const> = 200
local MAX_MESSAGES <const> = 50
local MAX_ROOMS <const> = 100
local MAX_PAGE <const> = 900 -- bytes of messages in one answer
local MESSAGE_OVERHEAD <const> = 96 -- of one message, encoded

local rooms = {} -- name → { last, messages }
local order = {} -- names, the one that was silent longest first

local function is_text(value, max)
  return type(value) == "string" and #value >= 1 and #value <= max
    and not value:find("%c")
end

local function validate(record)
  if not record.seq then
    return nil, "a sequence number is required"
  elseif not is_text(record.value, MAX_NAME) then
    return nil, "a name is 1 to 32 printable bytes"
  end
  return true
end

-- Moves a room to the end of the order; the first has to go if there are many.
local function touch(name)
  for i, other in ipairs(order) do
    if other == name then
      table.remove(order, i)
      break
    end
  end
  order[#order + 1] = name
  if #order > MAX_ROOMS then
    rooms[table.remove(order, 1)] = nil
  end
end

local function say(request, ctx)
  local args = request.args
  if not is_text(args.room, MAX_NAME) or not is_text(args.name, MAX_NAME)
    or not is_text(args.text, MAX_TEXT)
  then
    return nil, "room, name and text are needed: 32, 32 and 200 bytes", 203
  end
  local room = rooms[args.room] or { last = 0, messages = {} }
  rooms[args.room] = room
  touch(args.room)
  room.last = room.last + 1
  table.insert(room.messages, {
    number = room.last,
    name = args.name,
    text = args.text,
    from = ctx.from.address,
  })
  if #room.messages > MAX_MESSAGES then
    table.remove(room.messages, 1)
  end
  return { number = room.last }
end

local function read(request)
  local args = request.args
  local after = args.after or 0
  if math.type(after) ~= "integer" then
    return nil, "after is the number of a message", 203
  end
  local room = rooms[args.room] or { last = 0, messages = {} }
  local page, size = {}, 0
  for _, message in ipairs(room.messages) do
    if message.number > after then
      size = size + #message.name + #message.text + MESSAGE_OVERHEAD
      if size > MAX_PAGE then
        break
      end
      page[#page + 1] = message
    end
  end
  return { messages = page, last = room.last }
end

return {
  name = "chat",
  version = 1,
  types = {
    presence = {
      max_size = MAX_NAME,
      max_values = 64,
      ttl = 60,
      republish = 20,
      signed_only = true,
      validate = validate,
    },
  },
  rpc = { chat_say = say, chat_read = read },
  samples = {
    types = { presence = {
      { value = "ann", seq = 1 }, { value = "bob", seq = 1 },
      { value = "", seq = 1 },
    } },
    rpc = {
      chat_say = { { room = "lobby", name = "ann", text = "hello" }, {} },
      chat_read = { { room = "lobby" }, { room = "lobby", after = 1 } },
    },
  },
}
