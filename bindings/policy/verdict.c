#include "policy/verdict.h"

#include "kadenza_network_key.h"
#include "lua/argument.h"
#include "lua/bencode.h"
#include "lua/field.h"
#include "lua/record.h"
#include "policy/hook.h"

enum {
  RECORDS_MAX = 1024,
  SECONDS_MAX = 2592000, /* 30 days */
  CODE_MIN = 100,
  CODE_MAX = 999,
  REPLY_FRAME = 53 /* bytes that every reply adds to its dictionary */
};

static int raise_wrong_type(lua_State *L, int index, const char *expected) {
  return luaL_error(L, "returned %s where %s is expected",
                    luaL_typename(L, index), expected);
}

/* Reads nil, reason[, code]. [-0, +0, v] */
static void read_rejection(lua_State *L, int count,
                           struct kad_hook_result *result) {
  result->verdict = KAD_VERDICT_REJECT;
  if (count >= 2 && !lua_isnil(L, 2)) {
    if (lua_type(L, 2) != LUA_TSTRING) {
      raise_wrong_type(L, 2, "a reason, a string,");
    }
    result->reason = kad_lua_check_slice(L, 2);
  }
  if (count >= 3 && !lua_isnil(L, 3)) {
    const lua_Integer code = lua_tointeger(L, 3);
    if (!lua_isinteger(L, 3) || code < CODE_MIN || code > CODE_MAX) {
      luaL_error(L, "returned a code that is not an integer in 100 to 999");
    }
    result->code = (int)code;
  }
}

/* Reads true, or nil, reason[, code]; or false, which drops the query if
 * `may_drop`. [-0, +0, v] */
static void read_decision(lua_State *L, int count, bool may_drop,
                          struct kad_hook_result *result) {
  switch (count > 0 ? lua_type(L, 1) : LUA_TNIL) {
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, 1)) {
      result->verdict = KAD_VERDICT_ACCEPT;
    } else if (may_drop) {
      result->verdict = KAD_VERDICT_DROP;
    } else {
      read_rejection(L, count, result);
    }
    return;
  case LUA_TNIL:
    if (count < 2) {
      luaL_error(L, "returned nothing: true, or nil and a reason, is expected");
    }
    read_rejection(L, count, result);
    return;
  default:
    raise_wrong_type(L, 1, "true, or nil and a reason,");
  }
}

/* Reads the record, a view or a table, at `index`. [-0, +0, v] */
static void read_record(lua_State *L, int index, unsigned bits,
                        struct kad_record *record) {
  const struct kad_view *const view = kad_view_test_record(L, index);
  if (view == NULL) {
    if (lua_type(L, index) != LUA_TTABLE) {
      raise_wrong_type(L, index, "a record");
    }
    kad_lua_check_record(L, index, bits, record);
  } else if (view->subject.record != NULL) {
    *record = *view->subject.record;
  } else {
    luaL_error(L, "returned a record of a call that has ended");
  }
}

/* Tells whether the table at 1 is a list of records rather than a record. */
static bool is_list_of_records(lua_State *L) {
  const bool is_record = kad_lua_push_field(L, 1, "value");
  lua_pop(L, is_record ? 1 : 0);
  return !is_record;
}

/* Pushes the `count` items of the list at 1, or the record at 1, before
 * anything is allocated: the collector empties weak lists. Returns the index of
 * the first. [-0, +count, v] */
static int push_items(lua_State *L, bool is_list, int count) {
  const int first = lua_gettop(L) + 1;
  luaL_checkstack(L, count + 10, NULL);
  for (int i = 0; i < count; i++) {
    if (is_list) {
      lua_rawgeti(L, 1, i + 1);
    } else {
      lua_pushvalue(L, 1);
    }
  }
  return first;
}

/* Reads a list of records or, with `may_be_one`, a single record. Their array
 * and each record are left at the top: the result borrows them.
 * [-0, +n, v] */
static void read_records(lua_State *L, struct kad_runner *runner,
                         bool may_be_one) {
  struct kad_hook_result *const result = &runner->result;
  const bool is_list =
      lua_type(L, 1) == LUA_TTABLE && (!may_be_one || is_list_of_records(L));
  if (!is_list && !(may_be_one && !lua_isnoneornil(L, 1))) {
    raise_wrong_type(L, 1,
                     may_be_one ? "a record or a list of records"
                                : "a list of records");
  }
  const size_t count = is_list ? (size_t)lua_rawlen(L, 1) : 1;
  if (count > RECORDS_MAX) {
    luaL_error(L, "returned more than %d records", (int)RECORDS_MAX);
  }
  const int first = push_items(L, is_list, (int)count);
  struct kad_record *const records =
      lua_newuserdatauv(L, count * sizeof *records + 1, 0);
  for (size_t i = 0; i < count; i++) {
    read_record(L, first + (int)i, runner->host->bits, &records[i]);
  }
  result->records = records;
  result->record_count = count;
}

/* Reports that a hook returned seconds out of range, unless it was reported
 * recently. [-0, +0, e] */
static void report_clamp(lua_State *L, struct kad_hook *hook,
                         uint32_t clamped) {
  const kad_time_ms now = kad_host_now(hook->host);
  if (hook->clamp_reported_at != 0 &&
      now - hook->clamp_reported_at < KAD_REPORT_EVERY_MS) {
    hook->clamps_unreported++;
    return;
  }
  hook->clamp_reported_at = now > 0 ? now : 1;
  kad_host_push_field(L, hook->host, "clamped");
  lua_pushstring(L, hook->name);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, clamped);
  kad_hook_push_place(L, hook);
  lua_pushinteger(L, (lua_Integer)hook->clamps_unreported);
  hook->clamps_unreported = 0;
  lua_call(L, 5, 0);
}

/* Reads seconds. Those out of 1 … SECONDS_MAX are clamped; what is not a number
 * in the sense of IEEE 754 becomes 1. [-0, +0, v] */
static void read_seconds(lua_State *L, struct kad_runner *runner) {
  if (lua_type(L, 1) != LUA_TNUMBER) {
    raise_wrong_type(L, 1, "a number of seconds");
  }
  const lua_Number seconds = lua_tonumber(L, 1);
  uint32_t clamped = 1;
  if (seconds >= SECONDS_MAX) {
    clamped = SECONDS_MAX;
  } else if (seconds >= 1) {
    clamped = (uint32_t)seconds;
  }
  runner->result.seconds = clamped;
  if (!(seconds >= 1 && seconds <= SECONDS_MAX)) {
    runner->host->clamped++;
    report_clamp(L, runner->hook, clamped);
  }
}

/* Reports a reply that fits no datagram. The node tells the sender of the
 * query.
 * [-0, +0, m] */
static void report_size(lua_State *L, const struct kad_runner *runner) {
  const struct kad_node *const node = runner->host->link->node;
  const size_t len = runner->result.reply.len;
  if (node != NULL && len + REPLY_FRAME > kad_node_message_room(node)) {
    const char *const text = lua_pushfstring(
        L,
        "the reply is too large: it has %d bytes, and with what the node adds "
        "it can have %d (max_reply)",
        (int)len, (int)kad_node_message_room(node));
    kad_hook_failure_report_text(runner->hook, text);
    lua_pop(L, 1);
  }
}

/* Reads a reply, or nil, reason[, code]. The encoding of the reply is left at
 * the top. [-0, +0|1, v] */
static void read_reply(lua_State *L, struct kad_runner *runner, int count) {
  if (count == 0 || lua_isnil(L, 1)) {
    read_decision(L, count, false, &runner->result);
    return;
  }
  if (lua_type(L, 1) != LUA_TTABLE) {
    raise_wrong_type(L, 1, "a reply, a table, or nil and a reason,");
  }
  lua_pushliteral(L, "id");
  if (lua_rawget(L, 1) != LUA_TNIL) {
    luaL_error(L, "reply.id is the id of this node, and is added by the node");
  }
  kad_lua_bencode_encode(L, 1, "reply", true);
  runner->result.reply = kad_lua_check_slice(L, lua_gettop(L));
  report_size(L, runner);
}

/* Reads what the hook of `runner` has returned, at 1 … `count` of the stack.
 * Values that the result borrows are left at the top. Raises for values that
 * the hook must not return. [-0, +n, v] */
static void read_values(lua_State *L, struct kad_runner *runner, int count) {
  struct kad_hook_result *const result = &runner->result;
  *result = (struct kad_hook_result){.verdict = KAD_VERDICT_ACCEPT};
  switch (runner->hook->kind) {
  case KAD_HOOK_KIND_VALIDATE:
  case KAD_HOOK_KIND_REQUEST:
    read_decision(L, count, runner->hook->kind == KAD_HOOK_KIND_REQUEST,
                  result);
    return;
  case KAD_HOOK_KIND_CONTACT:
    if (count == 0 || lua_type(L, 1) != LUA_TBOOLEAN) {
      raise_wrong_type(L, 1, "true or false");
    }
    result->verdict =
        lua_toboolean(L, 1) ? KAD_VERDICT_ACCEPT : KAD_VERDICT_REJECT;
    return;
  case KAD_HOOK_KIND_MERGE:
    if (count >= 2 && lua_isnil(L, 1)) { /* the held records stay */
      read_rejection(L, count, result);
      return;
    }
    read_records(L, runner, false);
    return;
  case KAD_HOOK_KIND_SELECT:
    read_records(L, runner, true);
    return;
  case KAD_HOOK_KIND_REPUBLISH:
    if (lua_type(L, 1) == LUA_TBOOLEAN && !lua_toboolean(L, 1)) {
      return; /* false, 0 seconds: never again */
    }
    read_seconds(L, runner);
    return;
  case KAD_HOOK_KIND_EXPIRE:
    read_seconds(L, runner);
    return;
  case KAD_HOOK_KIND_RPC:
    read_reply(L, runner, count);
    return;
  case KAD_HOOK_KIND_HTTP: /* our own code has packed it */
    result->reply = kad_lua_check_slice(L, 1);
    return;
  case KAD_HOOK_KIND_NOTICE:
  case KAD_HOOK_KIND_CODEC:
    return;
  }
}

/* Tells whether the `count` values at the top only accept, as most do. */
static bool is_plain_accept(lua_State *L, enum kad_hook_kind kind, int count) {
  const bool decides = kind == KAD_HOOK_KIND_VALIDATE ||
                       kind == KAD_HOOK_KIND_REQUEST ||
                       kind == KAD_HOOK_KIND_CONTACT;
  return kind == KAD_HOOK_KIND_NOTICE ||
         (decides && count > 0 && lua_type(L, -count) == LUA_TBOOLEAN &&
          lua_toboolean(L, -count));
}

/* read_protected(…, runner) → the other arguments, and what is borrowed */
static int read_protected(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, 10, NULL);
  read_values(L, runner, lua_gettop(L));
  return lua_gettop(L);
}

int kad_verdict_read(lua_State *L, struct kad_runner *runner, int count) {
  if (is_plain_accept(L, runner->hook->kind, count)) {
    runner->result = (struct kad_hook_result){.verdict = KAD_VERDICT_ACCEPT};
    return LUA_OK;
  }
  if (!lua_checkstack(L, 2)) {
    lua_settop(L, -count - 1);
    lua_pushnil(L);
    return LUA_ERRMEM;
  }
  lua_pushcfunction(L, read_protected);
  lua_insert(L, -count - 1);
  lua_pushlightuserdata(L, runner);
  return lua_pcall(L, count + 1, LUA_MULTRET, 0);
}
