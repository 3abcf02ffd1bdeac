--- pubsub: holds topics for others, and tells them of what is new there.
--
-- See `kadenza.pubsub` and the section "Pub/sub" of docs/libraries.md. This
-- policy is that library's, with its defaults: a node that runs it serves those
-- who subscribe and publish by a hub with the name "event".
--
-- Rules
--   * A record of type `event` has 8 bytes, which make it another than all
--     before it, and then up to 892 of the publisher's.
--   * It lives ten minutes; a key has the last 32.
--   * event_subscribe { topic, cookie, token } answers { token, ttl }, or the
--     token alone, which has to be repeated from the same address and port.
--     event_cancel { topic, cookie } answers nothing.
--   * event_push { topic, cookie, events } goes to every subscriber of a topic
--     when something is new under its key: `events` are dictionaries with `v`
--     and, where a record has them, `k`, `salt`, `seq` and `sig`, as in a
--     store.
--
-- From the command line
--
--     kadenza run --policy pubsub.lua
--
-- From Lua, with a node that was given { policies = { hub:policy() } }
--
--     local hub = require("kadenza.pubsub").new()
--     hub:subscribe(node, kad.key("news"), print)
--     hub:publish(node, kad.key("news"), "hello")

local pubsub = require("kadenza.pubsub")

local TOPIC <const>, COOKIE <const> = ("t"):rep(20), ("c"):rep(8)

return pubsub.new():policy({
  name = "pubsub",
  version = 1,
  samples = {
    types = { event = { "12345678hello", "87654321hello", "short" } },
    rpc = {
      event_subscribe = { { topic = TOPIC, cookie = COOKIE }, {} },
      event_cancel = { { topic = TOPIC, cookie = COOKIE } },
      event_push = { {
        topic = TOPIC,
        cookie = COOKIE,
        events = { { v = "12345678hello" } },
      } },
    },
  },
})
