/* verdict.c: what hooks return, checked by type, then by value and range. */
#include "lua/link.h"
#include "policy/policy.h"

#include <math.h>
#include <string.h>

enum {
  RECORDS_MAX = 1024,
  SECONDS_MAX = 2592000, /* 30 days */
  CODE_MIN = 100,
  CODE_MAX = 999
};

static int raise_type(lua_State *L, int index, const char *expected) {
  return luaL_error(L, "returned %s where %s is expected",
                    luaL_typename(L, index), expected);
}

/* Reads nil, reason[, code]. [-0, +0, v] */
static void read_refusal(lua_State *L, int count,
                         struct kad_hook_result *answer) {
  answer->verdict = KAD_VERDICT_REJECT;
  if (count >= 2 && !lua_isnil(L, 2)) {
    if (lua_type(L, 2) != LUA_TSTRING) {
      raise_type(L, 2, "a reason, a string,");
    }
    answer->reason = kad_lua_check_slice(L, 2);
  }
  if (count >= 3 && !lua_isnil(L, 3)) {
    const lua_Integer code = lua_tointeger(L, 3);
    if (!lua_isinteger(L, 3) || code < CODE_MIN || code > CODE_MAX) {
      luaL_error(L, "returned a code that is no integer of 100 … 999");
    }
    answer->code = (int)code;
  }
}

/* true, or nil, reason[, code]; and false, where `silent` says that it means
 * silence. [-0, +0, v] */
static void read_decision(lua_State *L, int count, bool silent,
                          struct kad_hook_result *answer) {
  switch (count > 0 ? lua_type(L, 1) : LUA_TNIL) {
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, 1)) {
      answer->verdict = KAD_VERDICT_ACCEPT;
    } else if (silent) {
      answer->verdict = KAD_VERDICT_DROP;
    } else {
      read_refusal(L, count, answer);
    }
    return;
  case LUA_TNIL:
    if (count < 2) {
      luaL_error(L, "returned nothing: true, or nil and a reason, is expected");
    }
    read_refusal(L, count, answer);
    return;
  default:
    raise_type(L, 1, "true, or nil and a reason,");
  }
}

/* Reads the record, a view or a table, at `index`. [-0, +0, v] */
static void read_record(lua_State *L, int index, unsigned bits,
                        struct kad_record *record) {
  const struct kad_view *const view = kad_view_test_record(L, index);
  if (view == NULL) {
    if (lua_type(L, index) != LUA_TTABLE) {
      raise_type(L, index, "a record");
    }
    kad_lua_check_record(L, index, bits, record);
  } else if (view->subject.record != NULL) {
    *record = *view->subject.record;
  } else {
    luaL_error(L, "returned a record of a call that has ended");
  }
}

/* A list of records, or, where `one` allows it, a single one. The array is left
 * at the top, where it lives as long as the answer. [-0, +1, v] */
static void read_records(lua_State *L, struct kad_runner *runner, bool one) {
  struct kad_hook_result *const answer = &runner->answer;
  const bool is_list = lua_type(L, 1) == LUA_TTABLE &&
                       (!one || lua_getfield(L, 1, "value") == LUA_TNIL);
  if (!is_list && !(one && !lua_isnoneornil(L, 1))) {
    raise_type(L, 1,
               one ? "a record or a list of records" : "a list of records");
  }
  const lua_Unsigned count = is_list ? lua_rawlen(L, 1) : 1;
  if (count > RECORDS_MAX) {
    luaL_error(L, "returned more than %d records", (int)RECORDS_MAX);
  }
  struct kad_record *const records =
      lua_newuserdatauv(L, (size_t)count * sizeof *records + 1, 0);
  for (lua_Unsigned i = 0; i < count; i++) {
    if (is_list) {
      lua_rawgeti(L, 1, (lua_Integer)i + 1);
    } else {
      lua_pushvalue(L, 1);
    }
    read_record(L, lua_gettop(L), runner->host->bits, &records[i]);
    lua_pop(L, 1);
  }
  answer->records = records;
  answer->record_count = (size_t)count;
}

/* What to hold, or nil, reason[, code]: the record that came is refused, what
 * was held stays. [-0, +0|1, v] */
static void read_merge(lua_State *L, struct kad_runner *runner, int count) {
  if (count >= 2 && lua_isnil(L, 1)) {
    read_refusal(L, count, &runner->answer);
    return;
  }
  read_records(L, runner, false);
}

/* Says that a hook returned seconds out of range, once in a while.
 * [-0, +0, e] */
static void say_clamped(lua_State *L, struct kad_lua_hook *hook,
                        uint32_t clamped) {
  const struct kad_network *const network = hook->host->node->network;
  const kad_time_ms now = network != NULL ? kad_network_now(network) : 0;
  if (hook->clamped_at != 0 && now - hook->clamped_at < KAD_REPORT_EVERY_MS) {
    hook->clamped_unsaid++;
    return;
  }
  hook->clamped_at = now > 0 ? now : 1;
  lua_rawgetp(L, LUA_REGISTRYINDEX, hook->host);
  lua_getfield(L, -1, "clamped");
  lua_pushstring(L, hook->name);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, clamped);
  kad_hook_push_place(L, hook);
  lua_pushinteger(L, (lua_Integer)hook->clamped_unsaid);
  hook->clamped_unsaid = 0;
  lua_call(L, 5, 0);
  lua_pop(L, 1);
}

/* Seconds, brought into range: 0 and less is `least`. [-0, +0, v] */
static void read_seconds(lua_State *L, struct kad_runner *runner,
                         uint32_t least) {
  if (lua_type(L, 1) != LUA_TNUMBER) {
    raise_type(L, 1, "a number of seconds");
  }
  const lua_Number seconds = lua_tonumber(L, 1);
  uint32_t clamped = least;
  if (seconds >= SECONDS_MAX) {
    clamped = SECONDS_MAX;
  } else if (seconds >= least) {
    clamped = (uint32_t)seconds;
  }
  runner->answer.seconds = clamped;
  if (!(seconds >= least && seconds <= SECONDS_MAX)) {
    runner->host->clamped++;
    say_clamped(L, runner->hook, clamped);
  }
}

/* Seconds, or false for never again. [-0, +0, v] */
static void read_republish(lua_State *L, struct kad_runner *runner) {
  if (lua_type(L, 1) == LUA_TBOOLEAN && !lua_toboolean(L, 1)) {
    runner->answer.seconds = 0;
    return;
  }
  read_seconds(L, runner, 1);
}

/* A reply, or nil, reason[, code]. The encoding is left at the top.
 * [-0, +0|1, v] */
static void read_reply(lua_State *L, struct kad_runner *runner, int count) {
  if (count == 0 || lua_isnil(L, 1)) {
    read_decision(L, count, false, &runner->answer);
    return;
  }
  if (lua_type(L, 1) != LUA_TTABLE) {
    raise_type(L, 1, "a reply, a table, or nil and a reason,");
  }
  kad_lua_bencode_encode(L, 1, "reply", true);
  runner->answer.reply = kad_lua_check_slice(L, lua_gettop(L));
}

void kad_verdict_read(lua_State *L, struct kad_runner *runner, int count) {
  struct kad_hook_result *const answer = &runner->answer;
  *answer = (struct kad_hook_result){.verdict = KAD_VERDICT_ACCEPT};
  switch (runner->hook->kind) {
  case KAD_HOOK_VALIDATE:
    read_decision(L, count, false, answer);
    return;
  case KAD_HOOK_REQUEST:
    read_decision(L, count, true, answer);
    return;
  case KAD_HOOK_CONTACT:
    if (count == 0 || lua_type(L, 1) != LUA_TBOOLEAN) {
      raise_type(L, 1, "true or false");
    }
    answer->verdict =
        lua_toboolean(L, 1) ? KAD_VERDICT_ACCEPT : KAD_VERDICT_REJECT;
    return;
  case KAD_HOOK_MERGE:
    read_merge(L, runner, count);
    return;
  case KAD_HOOK_SELECT:
    read_records(L, runner, true);
    return;
  case KAD_HOOK_EXPIRE:
    read_seconds(L, runner, 1);
    return;
  case KAD_HOOK_REPUBLISH:
    read_republish(L, runner);
    return;
  case KAD_HOOK_RPC:
    read_reply(L, runner, count);
    return;
  case KAD_HOOK_TOLD:
  case KAD_HOOK_CODEC:
    return;
  }
}
