/* codec.c: runs the codec of a policy.
 *
 * Its functions are asked for every datagram, and there is nothing to do in
 * their stead: they run at once, on a coroutine of their own that is never
 * resumed, so that they cannot wait, within the budget of any hook, but no
 * breaker ever opens: a stranger's nonsense would deafen the node. */
#include "policy/codec.h"

#include "lua/link.h"
#include "policy/hook.h"

#include <string.h>

/* What a call is about, and what has come of it. */
struct exchange {
  const struct kad_host *host;
  const struct kad_lua_hook *hook;
  unsigned bits;
  const struct kad_message *message; /* to encode */
  struct kad_writer *writer;         /* what it is encoded to */
  struct kad_slice datagram;         /* to decode */
  struct kad_message *decoded;
  struct kad_writer *scratch;
  int status;
};

/* Pushes the function of the hook. [-0, +1, m] */
static void push_hook(lua_State *L, const struct exchange *exchange) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, exchange->host);
  lua_getfield(L, -1, "hooks");
  lua_rawgeti(L, -1, exchange->hook - exchange->host->hooks + 1);
}

static int encode_body(lua_State *L) {
  struct exchange *const exchange = lua_touserdata(L, 1);
  push_hook(L, exchange);
  kad_lua_push_message(L, exchange->message, exchange->bits);
  lua_call(L, 1, 2);
  if (lua_type(L, -2) != LUA_TSTRING) {
    const bool refused = lua_isnil(L, -2) && lua_type(L, -1) == LUA_TSTRING;
    return luaL_error(L, "%s",
                      refused ? lua_tostring(L, -1)
                              : lua_pushfstring(L,
                                                "returned %s where a string, "
                                                "or nil and a reason, is "
                                                "expected",
                                                luaL_typename(L, -2)));
  }
  size_t len = 0;
  const char *const bytes = lua_tolstring(L, -2, &len);
  kad_write_raw(exchange->writer,
                (struct kad_slice){(const uint8_t *)bytes, len});
  exchange->status = exchange->writer->overflow ? KAD_ETOOBIG : 0;
  return 0;
}

static int decode_body(lua_State *L) {
  struct exchange *const exchange = lua_touserdata(L, 1);
  push_hook(L, exchange);
  kad_lua_push_slice(L, exchange->datagram);
  lua_call(L, 1, 1);
  if (lua_isnil(L, -1)) {
    return 0; /* no message, and no mistake of the policy's */
  }
  if (lua_type(L, -1) != LUA_TTABLE) {
    return luaL_error(L,
                      "returned %s where a message, a table, or nil is "
                      "expected",
                      luaL_typename(L, -1));
  }
  kad_lua_read_message(L, exchange->bits, exchange->decoded, exchange->scratch);
  exchange->status = 0;
  return 0;
}

/* Calls `body` on the stack of `L` as an entry of the meter. Returns a LUA_…
 * status: otherwise the text of the error is at the top. [-0, +0|1, -] */
static int call(lua_State *L, lua_CFunction body, struct exchange *exchange,
                struct kad_lua_hook *hook) {
  struct kad_host *const host = hook->host;
  struct kad_meter_entry entry;
  const uint64_t weight = kad_hook_weight(hook);
  const uint64_t begun = weight > 0 ? kad_meter_clock_ns() : 0;
  kad_meter_enter(L, host->meter, &entry);
  lua_pushcfunction(L, kad_lua_traceback);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, exchange);
  const int status = lua_pcall(L, 1, 0, 1);
  kad_meter_leave(host->meter);
  if (weight > 0) {
    kad_hook_add_time(hook, kad_meter_clock_ns() - begun, weight);
  }
  hook->instructions += entry.use.instructions + kad_meter_unseen(L);
  hook->overruns += status != LUA_OK && entry.killed;
  return status;
}

/* Runs `body`. A failure is counted and said, and leaves the status as it was.
 * One that comes while the codec is at work, by way of what it has called,
 * fails. */
static void run(struct kad_host *host, struct kad_lua_hook *hook,
                lua_CFunction body, struct exchange *exchange) {
  lua_State *const L = host->codec.thread;
  if (host->L == NULL || host->stopped || host->codec.busy ||
      !lua_checkstack(L, 3)) {
    return;
  }
  exchange->host = host;
  exchange->hook = hook;
  hook->calls++;
  host->codec.busy = true;
  if (host->node->network != NULL) {
    kad_meter_turn(host->meter, host->node->network);
  }
  lua_settop(L, 0);
  if (call(L, body, exchange, hook) != LUA_OK) {
    kad_hook_fail(hook, lua_tostring(L, -1));
  }
  lua_settop(L, 0);
  host->codec.busy = false;
  kad_meter_collect(host->L, host->meter);
  if (host->owns_state) {
    kad_vm_pace(host);
  }
}

static int encode(void *state, const struct kad_message *message,
                  size_t id_size, struct kad_writer *writer) {
  struct kad_host *const host = state;
  struct exchange exchange = {.bits = (unsigned)id_size * 8,
                              .message = message,
                              .writer = writer,
                              .status = KAD_ECODEC};
  run(host, host->codec.encode, encode_body, &exchange);
  return exchange.status;
}

static int decode(void *state, struct kad_slice datagram, size_t id_size,
                  struct kad_message *message, struct kad_writer *scratch) {
  struct kad_host *const host = state;
  struct exchange exchange = {.bits = (unsigned)id_size * 8,
                              .datagram = datagram,
                              .decoded = message,
                              .scratch = scratch,
                              .status = KAD_EMALFORMED};
  kad_message_init(message, KAD_MESSAGE_QUERY);
  run(host, host->codec.decode, decode_body, &exchange);
  if (exchange.status != 0) {
    message->transaction = (struct kad_slice){NULL, 0};
  }
  return exchange.status;
}

/* Returns the hook whose number is the field `name` of the table at the top.
 * [-0, +0, m] */
static struct kad_lua_hook *field_hook(lua_State *L, struct kad_host *host,
                                       const char *name) {
  lua_Integer number = 0;
  (void)kad_lua_field_integer(L, lua_gettop(L), name, 1,
                              (lua_Integer)host->hook_count, &number);
  struct kad_lua_hook *const hook = &host->hooks[number - 1];
  hook->kind = KAD_HOOK_CODEC;
  hook->steady = true;
  return hook;
}

const struct kad_codec *kad_lua_codec_set_up(lua_State *L,
                                             struct kad_host *host) {
  struct kad_lua_codec *const codec = &host->codec;
  if (lua_getfield(L, -1, "codec") != LUA_TTABLE) {
    lua_pop(L, 1);
    return NULL;
  }
  codec->encode = field_hook(L, host, "encode");
  codec->decode = field_hook(L, host, "decode");
  codec->thread = lua_newthread(L);
  lua_setfield(L, -2, "thread"); /* lives as long as the set-up */
  lua_pop(L, 1);
  codec->codec =
      (struct kad_codec){.state = host, .decode = decode, .encode = encode};
  return &codec->codec;
}
