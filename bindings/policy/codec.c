#include "policy/codec.h"

#include "lua/value.h"
#include "policy/hook.h"
#include "policy/message.h"
#include "policy/vm.h"

/* A call of the codec, and its outcome. */
struct codec_call {
  const struct kad_hook *hook;
  unsigned bits;
  const struct kad_message *message; /* to encode */
  struct kad_writer *writer;         /* takes the encoding */
  struct kad_slice datagram;         /* to decode */
  struct kad_message *decoded;
  struct kad_writer *scratch;
  int status;
};

/* Pushes the function of the hook. [-0, +1, m] */
static void push_hook(lua_State *L, const struct codec_call *call) {
  const struct kad_host *const host = call->hook->host;
  kad_host_push_field(L, host, "hooks");
  lua_rawgeti(L, -1, call->hook - host->hooks + 1);
}

/* Encodes a message. [-0, +0, e] */
static int encode_body(lua_State *L) {
  struct codec_call *const call = lua_touserdata(L, 1);
  push_hook(L, call);
  kad_policy_message_push(L, call->message, call->bits);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -2) && lua_type(L, -1) == LUA_TSTRING) {
    return lua_error(L);
  }
  if (lua_type(L, -2) != LUA_TSTRING) {
    return luaL_error(
        L, "returned %s where a string, or nil and a reason, is expected",
        luaL_typename(L, -2));
  }
  size_t len = 0;
  const char *const bytes = lua_tolstring(L, -2, &len);
  kad_write_raw(call->writer, (struct kad_slice){(const uint8_t *)bytes, len});
  call->status = call->writer->overflow ? KAD_ETOOBIG : 0;
  return 0;
}

/* Decodes a datagram. [-0, +0, e] */
static int decode_body(lua_State *L) {
  struct codec_call *const call = lua_touserdata(L, 1);
  push_hook(L, call);
  kad_lua_push_slice(L, call->datagram);
  lua_call(L, 1, 1);
  if (lua_isnil(L, -1)) {
    return 0; /* not a message: the status says so */
  }
  if (lua_type(L, -1) != LUA_TTABLE) {
    return luaL_error(
        L, "returned %s where a message, a table, or nil is expected",
        luaL_typename(L, -1));
  }
  kad_policy_message_read(L, call->bits, call->decoded, call->scratch);
  call->status = 0;
  return 0;
}

/* Runs `body` on the stack of `L` as an entry of the meter. Returns a LUA_…
 * status; after an error, its text is at the top. [-0, +0|1, -] */
static int run_metered(lua_State *L, lua_CFunction body,
                       struct codec_call *call, struct kad_hook *hook) {
  struct kad_host *const host = hook->host;
  struct kad_meter_entry entry;
  const uint64_t weight = kad_hook_time_weight(hook);
  const uint64_t begun = weight > 0 ? kad_meter_clock_ns() : 0;
  kad_meter_enter(L, host->meter, &entry);
  lua_pushcfunction(L, kad_lua_traceback);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, call);
  const int status = lua_pcall(L, 1, 0, 1);
  kad_meter_leave(host->meter);
  if (weight > 0) {
    kad_hook_add_time(hook, kad_meter_clock_ns() - begun, weight);
  }
  hook->instructions += entry.use.instructions + kad_meter_unseen(L);
  hook->overruns += status != LUA_OK && entry.killed;
  return status;
}

/* Runs `body`. A failure is counted and reported, and leaves the status as it
 * was. A call that the codec itself has caused fails without a report. */
static void run_hook(struct kad_host *host, struct kad_hook *hook,
                     lua_CFunction body, struct codec_call *call) {
  lua_State *const L = host->codec.thread;
  if (host->L == NULL || host->stopped || host->codec.busy ||
      !lua_checkstack(L, 3)) {
    return;
  }
  call->hook = hook;
  hook->calls++;
  host->codec.busy = true;
  kad_host_begin_turn(host);
  lua_settop(L, 0);
  if (run_metered(L, body, call, hook) != LUA_OK) {
    kad_hook_failure_report_error(hook, L, -1);
  }
  lua_settop(L, 0);
  host->codec.busy = false;
  kad_vm_heap_end_entry(host);
}

/* The functions of struct kad_codec. */

static int encode(void *state, const struct kad_message *message,
                  size_t id_size, struct kad_writer *writer) {
  struct kad_host *const host = state;
  struct codec_call call = {.bits = (unsigned)id_size * 8,
                            .message = message,
                            .writer = writer,
                            .status = KAD_ECODEC};
  run_hook(host, host->codec.encode, encode_body, &call);
  return call.status;
}

static int decode(void *state, struct kad_slice datagram, size_t id_size,
                  struct kad_message *message, struct kad_writer *scratch) {
  struct kad_host *const host = state;
  struct codec_call call = {.bits = (unsigned)id_size * 8,
                            .datagram = datagram,
                            .decoded = message,
                            .scratch = scratch,
                            .status = KAD_EMALFORMED};
  kad_message_init(message, KAD_MESSAGE_QUERY);
  run_hook(host, host->codec.decode, decode_body, &call);
  if (call.status != 0) {
    message->transaction = (struct kad_slice){NULL, 0};
  }
  return call.status;
}

const struct kad_codec *kad_policy_codec_set_up(lua_State *L,
                                                struct kad_host *host) {
  struct kad_host_codec *const codec = &host->codec;
  if (lua_getfield(L, -1, "codec") != LUA_TTABLE) {
    lua_pop(L, 1);
    return NULL;
  }
  codec->encode = kad_hook_of_field(L, host, "encode", KAD_HOOK_KIND_CODEC);
  codec->decode = kad_hook_of_field(L, host, "decode", KAD_HOOK_KIND_CODEC);
  if (codec->encode == NULL || codec->decode == NULL) {
    luaL_error(L, "a codec has the hooks encode and decode");
    return NULL;
  }
  codec->encode->breaker_disabled = true;
  codec->decode->breaker_disabled = true;
  codec->thread = lua_newthread(L);
  lua_setfield(L, -2, "thread"); /* lives as long as the set-up */
  lua_pop(L, 1);
  codec->codec =
      (struct kad_codec){.state = host, .decode = decode, .encode = encode};
  return &codec->codec;
}
