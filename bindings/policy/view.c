#include "policy/view.h"

#include "lua/bencode.h"
#include "lua/field.h"
#include "lua/record.h"
#include "lua/shown.h"
#include "lua/value.h"
#include "policy/registry.h"

#include <lauxlib.h>

#include <assert.h>
#include <string.h>

static const char *const names[] = {
    [KAD_VIEW_KIND_RECORD] = "kadenza.Record",
    [KAD_VIEW_KIND_REQUEST] = "kadenza.Request",
    [KAD_VIEW_KIND_CONTEXT] = "kadenza.Context",
};

const char *const kad_view_reasons[] = {
    [KAD_REASON_STORE] = "store",     [KAD_REASON_REPUBLISH] = "republish",
    [KAD_REASON_HANDOFF] = "handoff", [KAD_REASON_CACHE] = "cache",
    [KAD_REASON_GET] = "get",         [KAD_REASON_EXPIRE] = "expire",
    [KAD_REASON_EXPIRE + 1] = NULL,
};

/* The fields: name, kind of the views that have it, call that pushes it. */
#define FIELD_MAP(X)                                                        \
  X(VALUE, "value", RECORD, kad_lua_push_slice(L, record->value))           \
  X(KEY, "key", RECORD, kad_lua_push_id(L, &record->key, view->bits))       \
  X(TYPE, "type", RECORD, kad_lua_push_slice(L, record->type))              \
  X(PUBLISHER, "publisher", RECORD,                                         \
    push_bytes(L, record->publisher, KAD_PUBLISHER_SIZE))                   \
  X(SIGNATURE, "signature", RECORD,                                         \
    push_bytes(L, record->signature, KAD_SIGNATURE_SIZE))                   \
  X(SALT, "salt", RECORD,                                                   \
    push_bytes(L, record->salt.len > 0 ? record->salt.data : NULL,          \
               record->salt.len))                                           \
  X(TTL, "ttl", RECORD, lua_pushinteger(L, record->ttl))                    \
  X(AGE, "age", RECORD, lua_pushinteger(L, record->age))                    \
  X(SEQ, "seq", RECORD, push_seq(L, record))                                \
  X(SEED, "seed", RECORD, push_seed(L, record))                             \
  X(COPY, "copy", RECORD, lua_pushcfunction(L, record_to_table))            \
  X(METHOD, "method", REQUEST, kad_lua_push_slice(L, request->method))      \
  X(ARGS, "args", REQUEST, push_args(L, request))                           \
  X(FROM, "from", CONTEXT, push_from(L, view))                              \
  X(REASON, "reason", CONTEXT, push_reason(L, call))                        \
  X(NOW, "now", CONTEXT, lua_pushnumber(L, (lua_Number)call->now / 1000.0)) \
  X(NODE, "node", CONTEXT, lua_rawgetp(L, LUA_REGISTRYINDEX, view->node_key))

enum field {
  FIELD_NONE,
#define FIELD(field, name, kind, push) FIELD_##field,
  FIELD_MAP(FIELD)
#undef FIELD
};

static_assert(sizeof kad_policy_keys.view_metatables == KAD_VIEW_KIND_COUNT,
              "each kind has a key");

/* Pushes bytes, or nil if `bytes` is NULL. [-0, +1, m] */
static void push_bytes(lua_State *L, const uint8_t *bytes, size_t len) {
  if (bytes == NULL) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, (const char *)bytes, len);
  }
}

/* record:copy() → table */
static int record_to_table(lua_State *L) {
  const struct kad_view *const view = lua_touserdata(L, 1);
  luaL_argexpected(L, kad_view_test_record(L, 1) != NULL, 1, "record");
  if (view->subject.record == NULL) {
    return luaL_error(L, "a Record was used after its hook had ended");
  }
  kad_lua_push_record(L, view->subject.record, view->bits);
  return 1;
}

static void push_seq(lua_State *L, const struct kad_record *record) {
  if (record->has_seq) {
    lua_pushinteger(L, record->seq);
  } else {
    lua_pushnil(L);
  }
}

/* Pushes true for a seed, else nil. [-0, +1, -] */
static void push_seed(lua_State *L, const struct kad_record *record) {
  if (record->is_seed) {
    lua_pushboolean(L, true);
  } else {
    lua_pushnil(L);
  }
}

/* Pushes the arguments of a request, decoded. [-0, +1, m] */
static void push_args(lua_State *L, const struct kad_request *request) {
  if (request->args.len == 0 || kad_lua_bencode_decode(L, request->args) != 0) {
    lua_newtable(L);
  }
}

/* Pushes the contact that asks; nil when this node itself asks. [-0, +1, m] */
static void push_from(lua_State *L, const struct kad_view *view) {
  const struct kad_hook_call *const call = view->subject.call;
  if (call->from.address.family == 0) {
    lua_pushnil(L);
    return;
  }
  kad_lua_push_contact(L, &call->from, view->bits);
  lua_pushboolean(L, call->proven);
  lua_setfield(L, -2, "proven");
}

/* Pushes the reason of a hook about records; else nil. [-0, +1, m] */
static void push_reason(lua_State *L, const struct kad_hook_call *call) {
  if (call->record != NULL || call->held_count > 0) {
    lua_pushstring(L, kad_view_reasons[call->reason]);
  } else {
    lua_pushnil(L);
  }
}

/* Pushes a field of a view whose kind has it. [-0, +1, m] */
static void push_field(lua_State *L, const struct kad_view *view,
                       enum field field) {
  const struct kad_record *const record = view->subject.record;
  const struct kad_request *const request = view->subject.request;
  const struct kad_hook_call *const call = view->subject.call;
  switch (field) {
  case FIELD_NONE:
    return;
/* NOLINTBEGIN(bugprone-macro-parentheses): `push` is a statement. */
#define PUSH_FIELD(field, name, kind, push) \
  case FIELD_##field:                       \
    push;                                   \
    return;
    /* NOLINTEND(bugprone-macro-parentheses) */
    FIELD_MAP(PUSH_FIELD)
#undef PUSH_FIELD
  }
}

/* view[name] → field. Upvalue 1 has the numbers of the fields of this kind: to
 * find one is one look-up of an interned string. An unknown name raises:
 * otherwise a policy with a misspelt one would never apply, without a sign. */
static int view_index(lua_State *L) {
  const struct kad_view *const view = lua_touserdata(L, 1);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  const enum field field = (enum field)lua_tointeger(L, -1);
  if (field == FIELD_NONE) {
    return luaL_error(L, "a %s has no field '%s'",
                      names[view->kind] + sizeof "kadenza." - 1,
                      kad_lua_push_shown(L, 2));
  }
  if (view->subject.any == NULL) {
    return luaL_error(L, "a %s was used after its hook had ended",
                      names[view->kind] + sizeof "kadenza." - 1);
  }
  push_field(L, view, field);
  return 1;
}

static int view_newindex(lua_State *L) {
  return luaL_error(L, "a view cannot be changed: copy it");
}

static int view_tostring(lua_State *L) {
  const struct kad_view *const view = lua_touserdata(L, 1);
  lua_pushstring(L, names[view->kind]);
  return 1;
}

/* Pushes a table: name of a field of `kind` → its number. [-0, +1, m] */
static void push_numbers(lua_State *L, enum kad_view_kind kind) {
  lua_newtable(L);
#define SET_NUMBER(field, name, its_kind, push)  \
  if (kind == KAD_VIEW_KIND_##its_kind) {        \
    kad_lua_set_integer(L, name, FIELD_##field); \
  }
  FIELD_MAP(SET_NUMBER)
#undef SET_NUMBER
}

/* Pushes the metatable of a kind. [-0, +1, m] */
static void push_metatable(lua_State *L, enum kad_view_kind kind) {
  static const luaL_Reg functions[] = {
      {"__newindex", view_newindex},
      {"__tostring", view_tostring},
      {NULL, NULL},
  };
  const char *const key = &kad_policy_keys.view_metatables[kind];
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) {
    return;
  }
  lua_pop(L, 1);
  lua_createtable(L, 0, 5);
  luaL_setfuncs(L, functions, 0);
  push_numbers(L, kind);
  lua_pushcclosure(L, view_index, 1);
  lua_setfield(L, -2, "__index");
  kad_lua_set_string(L, "__name", names[kind]);
  kad_lua_set_boolean(L, "__metatable", false);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* ---------------------------------------------------------------- copies --
 *
 * Thousands of hooks may be pending: so a copy is one block, in the form that
 * the core has, with the bytes that it borrows behind it. */

/* Copies bytes to `*room`, and moves that behind them. */
static struct kad_slice copy_slice(uint8_t **room, struct kad_slice slice) {
  const struct kad_slice copy = {.data = *room, .len = slice.len};
  if (slice.len > 0) {
    memcpy(*room, slice.data, slice.len);
    *room += slice.len;
  }
  return copy;
}

static const uint8_t *copy_bytes(uint8_t **room, const uint8_t *bytes,
                                 size_t len) {
  return bytes != NULL ? copy_slice(room, (struct kad_slice){bytes, len}).data
                       : NULL;
}

/* Pushes a copy of the record, which the view then shows. [-0, +1, m] */
static void copy_record(lua_State *L, struct kad_view *view) {
  const struct kad_record *const record = view->subject.record;
  const size_t size = record->type.len + record->value.len + record->salt.len +
                      (record->publisher != NULL ? KAD_PUBLISHER_SIZE : 0) +
                      (record->signature != NULL ? KAD_SIGNATURE_SIZE : 0);
  struct kad_record *const copy = lua_newuserdatauv(L, sizeof *copy + size, 0);
  uint8_t *room = (uint8_t *)(copy + 1);
  *copy = *record;
  copy->type = copy_slice(&room, record->type);
  copy->value = copy_slice(&room, record->value);
  copy->salt = copy_slice(&room, record->salt);
  copy->publisher = copy_bytes(&room, record->publisher, KAD_PUBLISHER_SIZE);
  copy->signature = copy_bytes(&room, record->signature, KAD_SIGNATURE_SIZE);
  view->subject.record = copy;
}

static void copy_request(lua_State *L, struct kad_view *view) {
  const struct kad_request *const request = view->subject.request;
  struct kad_request *const copy = lua_newuserdatauv(
      L, sizeof *copy + request->method.len + request->args.len, 0);
  uint8_t *room = (uint8_t *)(copy + 1);
  copy->method = copy_slice(&room, request->method);
  copy->args = copy_slice(&room, request->args);
  view->subject.request = copy;
}

/* A context shows from, reason and now, and nothing that is borrowed. Of the
 * records it only needs whether there were any: then it has a reason. */
static void copy_context(lua_State *L, struct kad_view *view) {
  struct kad_hook_call *const copy = lua_newuserdatauv(L, sizeof *copy, 0);
  *copy = *view->subject.call;
  copy->held_count += copy->record != NULL;
  copy->request = NULL;
  copy->record = NULL;
  copy->held = NULL;
  view->subject.call = copy;
}

/* ----------------------------------------------------------------- rings -- */

enum {
  VIEWS_TABLE = 1, /* user value of the rings */
  VIEW_COPY = 1    /* user value of a view */
};

struct kad_views *kad_views_of(lua_State *L) {
  luaL_checkstack(L, 3, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.views);
  struct kad_views *views = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (views == NULL) {
    views = lua_newuserdatauv(L, sizeof *views, 1);
    memset(views, 0, sizeof *views);
    lua_createtable(L, KAD_VIEW_KIND_COUNT * KAD_VIEW_RING, 0);
    lua_setiuservalue(L, -2, VIEWS_TABLE);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.views);
  }
  return views;
}

void kad_views_push_table(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.views);
  lua_getiuservalue(L, -1, VIEWS_TABLE);
  lua_remove(L, -2);
}

struct kad_view *kad_views_acquire(struct kad_views *views,
                                   enum kad_view_kind kind) {
  struct kad_view *const view =
      views->rings[kind][views->next[kind] % KAD_VIEW_RING];
  if (view == NULL || view->busy || view->spent) {
    return NULL;
  }
  views->next[kind]++;
  view->busy = true;
  return view;
}

/* Keeps a busy view in the registry: another view gets its place. The table of
 * views is at the top. [-0, +0, m] */
static void displace(lua_State *L, struct kad_view *view) {
  lua_rawgeti(L, -1, view->place);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &view->anchor_key);
  view->displaced = true;
}

void kad_views_refill(lua_State *L, struct kad_views *views,
                      enum kad_view_kind kind) {
  const unsigned index = views->next[kind] % KAD_VIEW_RING;
  luaL_checkstack(L, 4, NULL);
  kad_views_push_table(L);
  if (views->rings[kind][index] != NULL && views->rings[kind][index]->busy) {
    displace(L, views->rings[kind][index]);
  }
  struct kad_view *const view = lua_newuserdatauv(L, sizeof *view, 1);
  *view = (struct kad_view){
      .kind = kind,
      .place = (int)kind * KAD_VIEW_RING + (int)index + 1,
  };
  push_metatable(L, kind);
  lua_setmetatable(L, -2);
  lua_rawseti(L, -2, view->place);
  views->rings[kind][index] = view;
  lua_pop(L, 1);
}

/* Pushes a busy view. [-0, +1, -] */
static void push_view(lua_State *L, const struct kad_view *view) {
  if (view->displaced) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &view->anchor_key);
    return;
  }
  kad_views_push_table(L);
  lua_rawgeti(L, -1, view->place);
  lua_remove(L, -2);
}

void kad_view_copy_subject(lua_State *L, struct kad_view *view) {
  if (view == NULL) {
    return;
  }
  luaL_checkstack(L, 10, NULL);
  push_view(L, view);
  switch (view->kind) {
  case KAD_VIEW_KIND_RECORD:
    copy_record(L, view);
    break;
  case KAD_VIEW_KIND_REQUEST:
    copy_request(L, view);
    break;
  case KAD_VIEW_KIND_CONTEXT:
    copy_context(L, view);
    break;
  }
  lua_setiuservalue(L, -2, VIEW_COPY);
  view->has_copy = true;
  lua_pop(L, 1);
}

void kad_view_release(lua_State *L, struct kad_view *view) {
  if (view == NULL) {
    return;
  }
  view->subject.any = NULL;
  view->spent = view->has_copy;
  view->has_copy = false;
  view->busy = false;
  if (view->displaced) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &view->anchor_key);
  }
}

const struct kad_view *kad_view_test_record(lua_State *L, int index) {
  const struct kad_view *view = NULL;
  if (lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX,
                &kad_policy_keys.view_metatables[KAD_VIEW_KIND_RECORD]);
    view = lua_rawequal(L, -1, -2) ? lua_touserdata(L, index) : NULL;
    lua_pop(L, 2);
  }
  return view;
}
