#include "view.h"

#include <string.h>

static const char *const names[] = {
    [KAD_VIEW_RECORD] = "kadenza.Record",
    [KAD_VIEW_REQUEST] = "kadenza.Request",
    [KAD_VIEW_CONTEXT] = "kadenza.Context",
};

static void push_optional(lua_State *L, struct kad_slice slice) {
  if (slice.len == 0) {
    lua_pushnil(L);
  } else {
    kad_lua_push_slice(L, slice);
  }
}

static void push_bytes(lua_State *L, const uint8_t *bytes, size_t len) {
  if (bytes == NULL) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, (const char *)bytes, len);
  }
}

static int record_copy(lua_State *L) {
  const struct kad_view *const view = lua_touserdata(L, 1);
  luaL_argexpected(L, kad_view_test_record(L, 1) != NULL, 1, "record");
  if (view->subject.record != NULL) {
    kad_lua_push_record(L, view->subject.record, view->bits);
  } else if (view->kept) {
    lua_newtable(L);
    lua_getiuservalue(L, 1, 1);
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 2);
    }
    lua_settop(L, 2);
  } else {
    return luaL_error(L, "a record was used after its hook had ended");
  }
  return 1;
}

/* Pushes the field `name` of a record. [-0, +1, m] */
static void push_record_field(lua_State *L, const struct kad_view *view,
                              const char *name) {
  const struct kad_record *const record = view->subject.record;
  if (strcmp(name, "value") == 0) {
    kad_lua_push_slice(L, record->value);
  } else if (strcmp(name, "key") == 0) {
    kad_lua_push_id(L, &record->key, view->bits);
  } else if (strcmp(name, "type") == 0) {
    kad_lua_push_slice(L, record->type);
  } else if (strcmp(name, "publisher") == 0) {
    push_bytes(L, record->publisher, KAD_PUBLISHER_SIZE);
  } else if (strcmp(name, "signature") == 0) {
    push_bytes(L, record->signature, KAD_SIGNATURE_SIZE);
  } else if (strcmp(name, "salt") == 0) {
    push_optional(L, record->salt);
  } else if (strcmp(name, "ttl") == 0) {
    lua_pushinteger(L, record->ttl);
  } else if (strcmp(name, "age") == 0) {
    lua_pushinteger(L, record->age);
  } else if (strcmp(name, "seq") == 0 && record->has_seq) {
    lua_pushinteger(L, record->seq);
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

static void push_request_field(lua_State *L, const struct kad_view *view,
                               const char *name) {
  const struct kad_request *const request = view->subject.question->request;
  if (strcmp(name, "method") == 0) {
    kad_lua_push_slice(L, request->method);
  } else if (strcmp(name, "args") == 0) {
    push_args(L, request);
  } else {
    lua_pushnil(L);
  }
}

/* Pushes who asks: a contact with `proven`; nil when it is us. [-0, +1, m] */
static void push_from(lua_State *L, const struct kad_view *view) {
  const struct kad_question *const question = view->subject.question;
  if (question->from.address.family == 0) {
    lua_pushnil(L);
    return;
  }
  kad_lua_push_contact(L, &question->from, view->bits);
  lua_pushboolean(L, question->proven);
  lua_setfield(L, -2, "proven");
}

static const char *reason_name(enum kad_reason reason) {
  switch (reason) {
  case KAD_REASON_STORE:
    return "store";
  case KAD_REASON_REPUBLISH:
    return "republish";
  case KAD_REASON_HANDOFF:
    return "handoff";
  case KAD_REASON_CACHE:
    return "cache";
  case KAD_REASON_GET:
    return "get";
  }
  return "store";
}

static void push_context_field(lua_State *L, const struct kad_view *view,
                               const char *name) {
  const struct kad_question *const question = view->subject.question;
  if (strcmp(name, "from") == 0) {
    push_from(L, view);
  } else if (strcmp(name, "reason") == 0) {
    lua_pushstring(L, reason_name(question->reason));
  } else if (strcmp(name, "now") == 0) {
    lua_pushnumber(L, (lua_Number)question->now / 1000.0);
  } else if (strcmp(name, "node") == 0) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, view->node_key);
  } else {
    lua_pushnil(L);
  }
}

static void push_field(lua_State *L, const struct kad_view *view,
                       const char *name) {
  switch (view->kind) {
  case KAD_VIEW_RECORD:
    push_record_field(L, view, name);
    return;
  case KAD_VIEW_REQUEST:
    push_request_field(L, view, name);
    return;
  case KAD_VIEW_CONTEXT:
    push_context_field(L, view, name);
    return;
  }
}

static bool shows(const struct kad_view *view) {
  return view->kind == KAD_VIEW_RECORD ? view->subject.record != NULL
                                       : view->subject.question != NULL;
}

/* view[name] */
static int view_index(lua_State *L) {
  const struct kad_view *const view = lua_touserdata(L, 1);
  if (view == NULL || !lua_getmetatable(L, 1) ||
      !lua_rawequal(L, -1, lua_upvalueindex(1))) {
    return luaL_argerror(L, 1, "a view is needed");
  }
  lua_pop(L, 1);
  const char *const name = luaL_checkstring(L, 2);
  if (view->kind == KAD_VIEW_RECORD && strcmp(name, "copy") == 0) {
    lua_pushcfunction(L, record_copy);
  } else if (shows(view)) {
    push_field(L, view, name);
  } else if (view->kept) {
    lua_getiuservalue(L, 1, 1);
    lua_getfield(L, -1, name);
  } else {
    return luaL_error(L, "a %s was used after its hook had ended",
                      names[view->kind] + sizeof "kadenza." - 1);
  }
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

struct kad_view *kad_view_push(lua_State *L, enum kad_view_kind kind,
                               unsigned bits, const void *node_key) {
  struct kad_view *const view = lua_newuserdatauv(L, sizeof *view, 1);
  *view = (struct kad_view){.kind = kind, .bits = bits, .node_key = node_key};
  if (luaL_newmetatable(L, names[kind]) != 0) {
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, view_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, view_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, view_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  return view;
}

/* Pushes a table of the fields of the view's kind. [-0, +1, m] */
static void push_fields(lua_State *L, const struct kad_view *view) {
  static const char *const request[] = {"method", "args", NULL};
  static const char *const context[] = {"node", "now", "reason", "from", NULL};
  if (view->kind == KAD_VIEW_RECORD) {
    kad_lua_push_record(L, view->subject.record, view->bits);
    return;
  }
  const char *const *name = view->kind == KAD_VIEW_REQUEST ? request : context;
  lua_newtable(L);
  for (; *name != NULL; name++) {
    push_field(L, view, *name);
    lua_setfield(L, -2, *name);
  }
}

void kad_view_keep(lua_State *L, int index) {
  struct kad_view *const view = lua_touserdata(L, index);
  if (!shows(view)) {
    return;
  }
  index = lua_absindex(L, index);
  luaL_checkstack(L, 10, NULL);
  push_fields(L, view);
  lua_setiuservalue(L, index, 1);
  kad_view_empty(view);
  view->kept = true;
}

void kad_view_empty(struct kad_view *view) {
  memset(&view->subject, 0, sizeof view->subject);
  view->kept = false;
}

const struct kad_view *kad_view_test_record(lua_State *L, int index) {
  return luaL_testudata(L, index, names[KAD_VIEW_RECORD]);
}
