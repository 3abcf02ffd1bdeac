--- pubsub: holds topics, and pushes new events to subscribers.
--
-- See `kadenza.pubsub` and the section "Pub/sub" of docs/libraries.md. This is
-- the library's policy with its defaults: a node that runs it serves
-- subscribers and publishers that use a hub with the name "event".
--
-- Rules
--   * A record of type `event` has 8 bytes that make it unique, then up to 892
--     bytes of the publisher.
--   * It expires after ten minutes; a key has the last 32.
--   * event_subscribe { topic, cookie, token } replies { token, ttl }, or the
--     token alone, which must be repeated from the same address and port.
--   * event_cancel { topic, cookie } replies nothing.
--   * event_push { topic, cookie, events, gone } is sent to each subscriber of
--     a topic when there are new events under its key. `events` are
--     dictionaries with `v` and, if the record has them, `ttl`, `k`, `salt`,
--     `seq` and `sig`, as in a store. `gone` are ids of events that the sender
--     holds no longer.
--
-- From the command line
--
--     kadenza run --policy pubsub
--     kadenza watch news --type event --bootstrap 192.0.2.1:6881
--
-- From Lua, with a node that has the option { policies = { hub:policy() } }
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
