--- chat: rooms with members and messages.
--
-- *Presence* records list the members of a room; they expire a minute after
-- their owner stopped storing them. The custom queries `chat_say` and
-- `chat_read` store and fetch messages at one node.
--
-- Rules
--   * Presence is a signed record under kad.key("room:" .. room). Its value is
--     a name of 1 to 32 printable bytes. It has a sequence number: of each key
--     pair the highest one counts, so old records cannot be replayed.
--   * It expires after 60 seconds: store it again every 20 seconds or so, with
--     a higher seq. Its holders republish it every 20 seconds with the time
--     that is left, so it survives the loss of holders, but not of its owner.
--   * A room has at most 64 members.
--   * chat_say { room, name, text } replies { number }, of the message.
--   * chat_read { room, after } replies { messages, last }: the oldest messages
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
--     for _, person in ipairs(people or {}) do
--       print(person.value)
--     end
--     local host = "192.0.2.1:6881" -- the node that has this room's messages
--     node:call(host, "chat_say",
--       { room = "lobby", name = "ann", text = "hello" })
--     print(node:call(host, "chat_read", { room = "lobby" }).messages[1].text)
--
-- Limits: messages are neither signed nor private, and are lost when the node
-- ends or reloads its policies. Sequence numbers of a clock that was ahead lock
-- their owner out for a minute.

local MAX_NAME <const> = 32
local MAX_TEXT <const> = 200
local MAX_MESSAGES <const> = 50
local MAX_ROOMS <const> = 100
local MAX_PAGE <const> = 900 -- bytes of messages in one reply
local MESSAGE_OVERHEAD <const> = 96 -- of one message, encoded

local rooms = {} -- name → { last, messages }
local order = {} -- names, by their last message, the oldest first

local function is_text(value, max)
  return type(value) == "string" and #value >= 1 and #value <= max
    and not value:find("%c")
end

local function validate(record)
  if not record.seq then
    return nil, "a sequence number is required"
  elseif not is_text(record.value, MAX_NAME) then
    return nil, "a name must be 1 to 32 printable bytes"
  end
  return true
end

-- Moves a room to the end of the order. Drops the first room if there are more
-- than MAX_ROOMS.
local function update_order(name)
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

local function say_message(request, ctx)
  local args = request.args
  if not is_text(args.room, MAX_NAME) or not is_text(args.name, MAX_NAME)
    or not is_text(args.text, MAX_TEXT)
  then
    return nil, "room, name and text are needed: 32, 32 and 200 bytes", 203
  end
  local room = rooms[args.room] or { last = 0, messages = {} }
  rooms[args.room] = room
  update_order(args.room)
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

local function read_messages(request)
  local args = request.args
  local after = args.after or 0
  if math.type(after) ~= "integer" then
    return nil, "after must be the number of a message", 203
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
  rpc = { chat_say = say_message, chat_read = read_messages },
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
