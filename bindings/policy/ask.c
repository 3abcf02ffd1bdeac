/* ask.c: asks one hook about what a table says, as the engine would ask it, and
 * shows its answer as a table. Made for tests of policies.
 *
 * A call of this kind has a call_id that no node gives out, so that a hook
 * that waits finds its way back here. One may be open at a time. */
#include "policy/policy.h"

#include <string.h>

/* A call and what it borrows. The table that it was read from keeps the
 * strings. */
struct inquiry {
  struct kad_hook_call call;
  struct kad_record record;
  struct kad_request request;
};

/* Pushes the field `name` of the table at `index`; pops it again and returns
 * false if it is nil. [-0, +0|1, m] */
static bool push_field(lua_State *L, int index, const char *name) {
  if (lua_getfield(L, index, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  return true;
}

/* Reads a record and its age, which no record that is sent has.
 * [-0, +0, v] */
static void read_record(lua_State *L, int index, unsigned bits,
                        struct kad_record *record) {
  lua_Integer age = 0;
  kad_lua_check_record(L, index, bits, record);
  (void)kad_lua_field_integer(L, index, "age", 0, UINT32_MAX, &age);
  record->age = (uint32_t)age;
}

/* Reads the list `held`. Its array is left on the stack. [-0, +0|1, v] */
static void read_held(lua_State *L, int index, unsigned bits,
                      struct kad_hook_call *call) {
  if (!push_field(L, index, "held")) {
    return;
  }
  const int list = lua_gettop(L);
  luaL_checktype(L, list, LUA_TTABLE);
  const size_t count = (size_t)lua_rawlen(L, list);
  struct kad_record *const held =
      lua_newuserdatauv(L, count * sizeof *held + 1, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    read_record(L, lua_gettop(L), bits, &held[i]);
    lua_pop(L, 1);
  }
  lua_remove(L, list);
  call->held = held;
  call->held_count = count;
}

/* Reads the contact `from`, and whether it is proven. [-0, +0, v] */
static void read_from(lua_State *L, int index, unsigned bits,
                      struct kad_hook_call *call) {
  struct kad_slice text;
  const size_t len = bits / 8;
  if (!push_field(L, index, "from")) {
    return;
  }
  const int from = lua_gettop(L);
  luaL_checktype(L, from, LUA_TTABLE);
  if (kad_lua_field_string(L, from, "id", len, len, &text)) {
    memcpy(call->from.id.bytes, text.data, len);
  }
  if (kad_lua_field_string(L, from, "address", 1, 64, &text) &&
      kad_address_parse(text, &call->from.address) != 0) {
    luaL_error(L, "'%s' is no address such as 192.0.2.1:6881",
               (const char *)text.data);
  }
  (void)kad_lua_field_boolean(L, from, "proven", &call->proven);
  lua_pop(L, 1);
}

/* Reads method and args of a request. The encoding is left on the stack.
 * [-0, +0|1, v] */
static void read_request(lua_State *L, int index, struct inquiry *inquiry) {
  struct kad_request *const request = &inquiry->request;
  if (!kad_lua_field_string(L, index, "method", 1, 64, &request->method)) {
    return;
  }
  inquiry->call.request = request;
  if (push_field(L, index, "args")) {
    kad_lua_bencode_encode(L, lua_gettop(L), "args", true);
    lua_remove(L, -2);
    request->args = kad_lua_check_slice(L, lua_gettop(L));
  }
}

static void read_reason(lua_State *L, int index, struct kad_hook_call *asked) {
  static const char *const names[] = {"store", "republish", "handoff", "cache",
                                      "get",   "expire",    NULL};
  static const enum kad_reason reasons[] = {
      KAD_REASON_STORE, KAD_REASON_REPUBLISH, KAD_REASON_HANDOFF,
      KAD_REASON_CACHE, KAD_REASON_GET,       KAD_REASON_EXPIRE};
  if (push_field(L, index, "reason")) {
    asked->reason = reasons[luaL_checkoption(L, -1, NULL, names)];
    lua_pop(L, 1);
  }
}

/* Reads the call in the table at `index`. What it borrows is left on the
 * stack. [-0, +n, v] */
static void read_inquiry(lua_State *L, int index, unsigned bits,
                         struct inquiry *inquiry) {
  struct kad_hook_call *const call = &inquiry->call;
  luaL_checkstack(L, 10, NULL);
  if (push_field(L, index, "record")) {
    read_record(L, lua_gettop(L), bits, &inquiry->record);
    call->record = &inquiry->record;
    lua_pop(L, 1); /* the call keeps it */
  }
  read_from(L, index, bits, call);
  read_reason(L, index, call);
  read_held(L, index, bits, call);
  read_request(L, index, inquiry);
}

static const char *verdict_name(enum kad_verdict verdict) {
  switch (verdict) {
  case KAD_VERDICT_ACCEPT:
    return "accept";
  case KAD_VERDICT_REJECT:
    return "reject";
  case KAD_VERDICT_DROP:
    return "drop";
  case KAD_VERDICT_FAILED:
  case KAD_VERDICT_PENDING:
    return "failed";
  }
  return "failed";
}

static void set_records(lua_State *L, const struct kad_hook_result *answer,
                        unsigned bits) {
  lua_createtable(L, (int)answer->record_count, 0);
  for (size_t i = 0; i < answer->record_count; i++) {
    kad_lua_push_record(L, &answer->records[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "records");
}

static void set_refusal(lua_State *L, const struct kad_hook_result *answer) {
  lua_pushinteger(L, answer->code != 0 ? answer->code : KAD_CODE_REFUSED);
  lua_setfield(L, -2, "code");
  kad_lua_push_slice(L, answer->reason);
  lua_setfield(L, -2, "reason");
}

/* Sets what an answer holds beside its verdict. [-0, +0, m] */
static void set_content(lua_State *L, const struct kad_lua_hook *hook,
                        const struct kad_hook_result *answer) {
  switch (hook->kind) {
  case KAD_HOOK_MERGE:
  case KAD_HOOK_SELECT:
    set_records(L, answer, hook->host->bits);
    return;
  case KAD_HOOK_EXPIRE:
  case KAD_HOOK_REPUBLISH:
    lua_pushinteger(L, answer->seconds);
    lua_setfield(L, -2, "seconds");
    return;
  case KAD_HOOK_RPC:
    if (kad_lua_bencode_decode(L, answer->reply) == 0) {
      lua_setfield(L, -2, "reply");
    }
    return;
  case KAD_HOOK_VALIDATE:
  case KAD_HOOK_REQUEST:
  case KAD_HOOK_CONTACT:
  case KAD_HOOK_TOLD:
  case KAD_HOOK_CODEC:
    return;
  }
}

/* Pushes an answer as a table: verdict, and code, reason, records, seconds or
 * reply. [-0, +1, m] */
static void push_answer(lua_State *L, const struct kad_lua_hook *hook,
                        const struct kad_hook_result *answer) {
  luaL_checkstack(L, 6, NULL);
  lua_newtable(L);
  lua_pushstring(L, verdict_name(answer->verdict));
  lua_setfield(L, -2, "verdict");
  if (answer->verdict == KAD_VERDICT_REJECT) {
    set_refusal(L, answer);
  } else if (answer->verdict == KAD_VERDICT_ACCEPT) {
    set_content(L, hook, answer);
  }
}

/* Lets a hook be asked whatever it did before: its failure is said each time.
 */
static void forgive(struct kad_lua_hook *hook) {
  hook->recent = 0;
  hook->open_until = 0;
  hook->said_at = 0;
  hook->unsaid = 0;
  hook->host->log_lines = 0;
}

int kad_host_ask(lua_State *L, struct kad_host *host) {
  struct inquiry inquiry = {.call = {.node = host->node->node}};
  struct kad_hook_result answer = {.verdict = KAD_VERDICT_FAILED};
  const lua_Integer number =
      kad_lua_check_integer(L, 2, 1, (lua_Integer)host->hook_count);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_argcheck(L, host->asked == 0, 1, "another call waits");
  read_inquiry(L, 3, host->bits, &inquiry);
  struct kad_lua_hook *const hook = &host->hooks[number - 1];
  host->asked = UINT64_MAX - host->asks++;
  inquiry.call.call_id = host->asked;
  inquiry.call.now = kad_network_now(host->node->network);
  forgive(hook);
  kad_hook_complete(hook, &inquiry.call, &answer);
  if (answer.verdict == KAD_VERDICT_PENDING) {
    return 0;
  }
  host->asked = 0;
  push_answer(L, hook, &answer);
  return 1;
}

/* What a hook that waited has answered. */
struct outcome {
  const struct kad_lua_hook *hook;
  const struct kad_hook_result *answer;
};

/* Leaves the answer in the registry of the state that has asked. [-0, +0, m] */
static int keep_answer(lua_State *L) {
  const struct outcome *const outcome = lua_touserdata(L, 1);
  push_answer(L, outcome->hook, outcome->answer);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &outcome->hook->host->asked);
  return 0;
}

void kad_host_answered(struct kad_lua_hook *hook,
                       const struct kad_hook_result *answer) {
  struct kad_host *const host = hook->host;
  struct outcome outcome = {.hook = hook, .answer = answer};
  host->asked = 0;
  (void)kad_lua_protect(host->parent, keep_answer, &outcome,
                        kad_lua_context(host->parent)->report);
}

int kad_host_take_answer(lua_State *L, struct kad_host *host) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &host->asked);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->asked);
  return 1;
}

/* ------------------------------------------------------------ description --
 */

/* In the host's state: leaves what set-up.describe() returns, a string, in its
 * registry. [-0, +0, e] */
static int describe_body(lua_State *L) {
  struct kad_host *const host = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, host);
  lua_getfield(L, -1, "describe");
  lua_call(L, 0, 1);
  luaL_checktype(L, -1, LUA_TSTRING);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->asks);
  return 0;
}

int kad_host_describe(lua_State *L, struct kad_host *host) {
  struct kad_meter_entry entry;
  size_t len = 0;
  if (host->owns_state) {
    kad_meter_enter(host->L, host->meter, &entry);
  }
  const int status = kad_lua_protect(host->L, describe_body, host,
                                     kad_lua_context(host->L)->report);
  if (host->owns_state) {
    kad_meter_leave(host->meter);
  }
  if (status != LUA_OK) {
    return kad_lua_push_error(L, KAD_ENOMEM);
  }
  lua_rawgetp(host->L, LUA_REGISTRYINDEX, &host->asks);
  const char *const text = lua_tolstring(host->L, -1, &len);
  lua_pushlstring(L, text, len);
  lua_remove(host->L, host->L == L ? -2 : -1);
  return 1;
}

int kad_lua_stack(lua_State *L) {
  lua_State *const thread = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  luaL_traceback(L, thread, NULL, thread == L ? 1 : 0);
  return 1;
}

int kad_lua_place(lua_State *L) {
  lua_Debug at;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_getinfo(L, ">S", &at);
  lua_pushstring(L, at.source);
  lua_pushinteger(L, at.linedefined);
  lua_pushinteger(L, at.lastlinedefined);
  return 3;
}
