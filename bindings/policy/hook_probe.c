#include "lua/argument.h"
#include "lua/bencode.h"
#include "lua/field.h"
#include "lua/record.h"
#include "lua/value.h"
#include "policy/hook.h"

/* A call, and the record and request that it borrows. Their strings are kept by
 * the table from which they are read. */
struct probe_call {
  struct kad_hook_call call;
  struct kad_record record;
  struct kad_request request;
};

/* Reads a record with its age. [-0, +0, v] */
static void read_record(lua_State *L, int index, unsigned bits,
                        struct kad_record *record) {
  kad_lua_check_record(L, index, bits, record);
  (void)kad_lua_field_uint32(L, index, "age", 0, UINT32_MAX, &record->age);
}

/* Reads the list `held`. Its array and records are left on the stack.
 * [-0, +n, v] */
static void read_held(lua_State *L, int index, unsigned bits,
                      struct kad_hook_call *call) {
  if (!kad_lua_push_field(L, index, "held")) {
    return;
  }
  const int list = lua_gettop(L);
  luaL_checktype(L, list, LUA_TTABLE);
  const size_t count = (size_t)lua_rawlen(L, list);
  luaL_checkstack(L, (int)count + 10, NULL);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
  }
  struct kad_record *const held =
      lua_newuserdatauv(L, count * sizeof *held + 1, 0);
  for (size_t i = 0; i < count; i++) {
    read_record(L, list + 1 + (int)i, bits, &held[i]);
  }
  call->held = held;
  call->held_count = count;
}

/* Reads the contact `from` and its `proven`. [-0, +0, v] */
static void read_from(lua_State *L, int index, unsigned bits,
                      struct kad_hook_call *call) {
  struct kad_slice text;
  if (!kad_lua_push_field(L, index, "from")) {
    return;
  }
  const int from = lua_gettop(L);
  luaL_checktype(L, from, LUA_TTABLE);
  (void)kad_lua_field_id(L, from, "id", bits, &call->from.id);
  if (kad_lua_field_string(L, from, "address", 1, 64, &text) &&
      kad_address_parse(text, &call->from.address) != 0) {
    luaL_error(L, "'%s' is not an address such as 192.0.2.1:6881",
               (const char *)text.data);
  }
  (void)kad_lua_field_boolean(L, from, "proven", &call->proven);
  lua_pop(L, 1);
}

/* Reads `method` and `args` of a request. The encoding of the arguments is left
 * on the stack. [-0, +0|1, v] */
static void read_request(lua_State *L, int index, struct probe_call *probe) {
  struct kad_request *const request = &probe->request;
  if (!kad_lua_field_string(L, index, "method", 1, 64, &request->method)) {
    return;
  }
  probe->call.request = request;
  if (kad_lua_push_field(L, index, "args")) {
    kad_lua_bencode_encode(L, lua_gettop(L), "args", true);
    lua_remove(L, -2);
    request->args = kad_lua_check_slice(L, lua_gettop(L));
  }
}

/* Reads the call in the table at `index`. Values that it borrows are left on
 * the stack. [-0, +n, v] */
static void read_call(lua_State *L, int index, unsigned bits,
                      struct probe_call *probe) {
  struct kad_hook_call *const call = &probe->call;
  luaL_checkstack(L, 10, NULL);
  if (kad_lua_push_field(L, index, "record")) {
    read_record(L, lua_gettop(L), bits, &probe->record);
    call->record = &probe->record; /* its table stays on the stack */
  }
  read_from(L, index, bits, call);
  if (kad_lua_push_field(L, index, "reason")) {
    call->reason =
        (enum kad_reason)luaL_checkoption(L, -1, NULL, kad_view_reasons);
    lua_pop(L, 1);
  }
  read_held(L, index, bits, call);
  read_request(L, index, probe);
}

static const char *const verdict_names[] = {
    [KAD_VERDICT_ACCEPT] = "accept",  [KAD_VERDICT_REJECT] = "reject",
    [KAD_VERDICT_DROP] = "drop",      [KAD_VERDICT_FAILED] = "failed",
    [KAD_VERDICT_PENDING] = "failed",
};

/* Sets the fields of a result that accepts. [-0, +0, m] */
static void set_accepted(lua_State *L, const struct kad_hook *hook,
                         const struct kad_hook_result *result) {
  const enum kad_hook_kind kind = hook->kind;
  if (kind == KAD_HOOK_KIND_MERGE || kind == KAD_HOOK_KIND_SELECT) {
    kad_lua_push_records(L, result->records, result->record_count,
                         hook->host->bits);
    lua_setfield(L, -2, "records");
  } else if (kind == KAD_HOOK_KIND_EXPIRE || kind == KAD_HOOK_KIND_REPUBLISH) {
    kad_lua_set_integer(L, "seconds", result->seconds);
  } else if (kind == KAD_HOOK_KIND_RPC &&
             kad_lua_bencode_decode(L, result->reply) == 0) {
    lua_setfield(L, -2, "reply");
  }
}

/* Pushes a result as a table: verdict, and code, reason, records, seconds or
 * reply. [-0, +1, m] */
static void push_result(lua_State *L, const struct kad_hook *hook,
                        const struct kad_hook_result *result) {
  luaL_checkstack(L, 6, NULL);
  lua_newtable(L);
  kad_lua_set_string(L, "verdict", verdict_names[result->verdict]);
  if (result->verdict == KAD_VERDICT_REJECT) {
    kad_lua_set_integer(L, "code",
                        result->code != 0 ? result->code : KAD_CODE_REFUSED);
    kad_lua_set_slice(L, "reason", result->reason);
  } else if (result->verdict == KAD_VERDICT_ACCEPT) {
    set_accepted(L, hook, result);
  }
}

/* The result of a pending probe. */
struct kept_result {
  const struct kad_hook *hook;
  const struct kad_hook_result *result;
};

/* Keeps a result in the parent. [-0, +0, m] */
static int keep_result(lua_State *L) {
  const struct kept_result *const kept = lua_touserdata(L, 1);
  push_result(L, kept->hook, kept->result);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kept->hook->host->keys.probe_result);
  return 0;
}

/* A kad_probe_done_fn. */
static void end_probe(struct kad_hook *hook,
                      const struct kad_hook_result *result) {
  struct kad_host *const host = hook->host;
  struct kept_result kept = {.hook = hook, .result = result};
  host->probe.call_id = 0;
  (void)kad_lua_protect(host->parent, keep_result, &kept,
                        kad_lua_context(host->parent)->report);
}

int kad_hook_probe(lua_State *L, struct kad_host *host) {
  struct probe_call probe = {.call = {.node = host->link->node}};
  struct kad_hook_result result = {.verdict = KAD_VERDICT_FAILED};
  const lua_Integer number =
      kad_lua_check_integer(L, 2, 1, (lua_Integer)host->hook_count);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_argcheck(L, host->probe.call_id == 0, 1, "another probe is pending");
  read_call(L, 3, host->bits, &probe);
  struct kad_hook *const hook = &host->hooks[number - 1];
  luaL_argcheck(L, hook->kind != KAD_HOOK_KIND_HTTP, 2,
                "the hook of a route is called with serve");
  host->probe.call_id = UINT64_MAX - host->probe.count++;
  host->probe.done = end_probe;
  probe.call.call_id = host->probe.call_id;
  probe.call.now = kad_network_now(host->link->network);
  kad_hook_failure_forget(hook);
  host->log_lines = 0;
  kad_hook_run(hook, &probe.call, &result);
  if (result.verdict == KAD_VERDICT_PENDING) {
    return 0;
  }
  host->probe.call_id = 0;
  push_result(L, hook, &result);
  return 1;
}

void kad_hook_probe_take_result(lua_State *L, struct kad_host *host) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &host->keys.probe_result);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->keys.probe_result);
}
