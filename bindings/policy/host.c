#include "policy/host.h"

#include "lua/value.h"
#include "policy/hook.h"

struct kad_host *kad_host_new(lua_State *L, const struct kad_lua_node *node) {
  const struct kad_allocator heap = kad_allocator_default();
  struct kad_lua_context *const context = kad_lua_context(L);
  struct kad_host *const host = heap.resize(heap.state, NULL, 0, sizeof *host);
  if (host != NULL) {
    *host = (struct kad_host){
        .link = kad_lua_link_share(node->link),
        .users = 1,
        .bits = node->bits,
        .parent = context->main,
        .outside = &context->outside,
    };
  }
  return host;
}

void kad_host_release(struct kad_host *host) {
  const struct kad_allocator heap = kad_allocator_default();
  if (--host->users > 0) {
    return;
  }
  kad_lua_dependent_remove(&host->dependent);
  kad_lua_link_release(host->link);
  (void)heap.resize(heap.state, host->hooks,
                    host->hook_count * sizeof *host->hooks, 0);
  (void)heap.resize(heap.state, host->types,
                    host->type_count * sizeof *host->types, 0);
  (void)heap.resize(heap.state, host, sizeof *host, 0);
}

void kad_host_push_field(lua_State *L, const struct kad_host *host,
                         const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &host->keys.setup);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

void kad_host_ignore_error(lua_State *L, int status) {
  (void)L;
  (void)status;
}

int kad_host_protect(struct kad_host *host, bool is_internal,
                     lua_CFunction body, void *argument,
                     kad_lua_report_fn *report) {
  struct kad_meter_entry entry;
  if (!host->owns_state) { /* the state that made the host meters itself */
    return kad_lua_protect(host->L, body, argument, report);
  }
  kad_meter_enter(host->L, host->meter, &entry);
  entry.is_internal = is_internal;
  const int status = kad_lua_protect(host->L, body, argument, report);
  kad_meter_leave(host->meter);
  return status;
}

/* --------------------------------------------------------------- texts -- */

void kad_host_set_text(lua_State *L, const struct kad_host *host) {
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->keys.text);
}

/* The report of VMs: leaves the message. */
static void leave_message(lua_State *L, int status) {
  const struct kad_lua_context *const context = kad_lua_context(L);
  if (status != LUA_ERRMEM) {
    lua_pushvalue(L, -1);
    kad_host_set_text(L, context->host);
  }
}

int kad_host_run(struct kad_host *host, bool is_internal, lua_CFunction body,
                 void *argument) {
  return kad_host_protect(host, is_internal, body, argument,
                          host->owns_state ? leave_message
                                           : kad_lua_context(host->L)->report);
}

const char *kad_host_get_text(const struct kad_host *host, size_t *len) {
  lua_checkstack(host->L, 2);
  lua_rawgetp(host->L, LUA_REGISTRYINDEX, &host->keys.text);
  return lua_tolstring(host->L, -1, len);
}

void kad_host_copy_text(lua_State *L, const struct kad_host *host) {
  size_t len = 0;
  const char *const text = kad_host_get_text(host, &len);
  if (text != NULL) {
    lua_pushlstring(L, text, len);
  } else {
    lua_pushliteral(L, "out of memory");
  }
  lua_remove(host->L, host->L == L ? -2 : -1);
}

void kad_host_clear_text(const struct kad_host *host) {
  lua_checkstack(host->L, 2);
  lua_pushnil(host->L);
  kad_host_set_text(host->L, host);
}

/* ------------------------------------------------------------- answers -- */

struct answer {
  const struct kad_host *host;
  lua_Integer id;
  bool succeeded;
  struct kad_slice bytes;
};

/* Calls the function that takes answers. [-0, +0, e] */
static int call_answer(lua_State *L) {
  const struct answer *const answer = lua_touserdata(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &answer->host->keys.answer) !=
      LUA_TFUNCTION) {
    return 0;
  }
  lua_pushinteger(L, answer->id);
  lua_pushboolean(L, answer->succeeded);
  if (answer->bytes.data != NULL) {
    kad_lua_push_slice(L, answer->bytes);
  } else {
    lua_pushnil(L);
  }
  lua_call(L, 3, 0);
  return 0;
}

void kad_host_answer(struct kad_host *host, lua_Integer id, bool succeeded,
                     struct kad_slice bytes) {
  struct answer answer = {
      .host = host, .id = id, .succeeded = succeeded, .bytes = bytes};
  (void)kad_lua_protect(host->parent, call_answer, &answer,
                        kad_lua_context(host->parent)->report);
}

/* -------------------------------------------------------------- ending -- */

struct finish {
  const struct kad_host *host;
  bool at_last;
  bool finished; /* nothing is left */
};

/* Calls setup.finish(at_last) → whether nothing is left. [-0, +0, e] */
static int call_finish(lua_State *L) {
  struct finish *const finish = lua_touserdata(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &finish->host->keys.setup) ==
          LUA_TTABLE &&
      lua_getfield(L, -1, "finish") == LUA_TFUNCTION) {
    lua_pushboolean(L, finish->at_last);
    lua_call(L, 1, 1);
    finish->finished = lua_toboolean(L, -1);
  }
  return 0;
}

/* The tasks end as kadenza's own code: the memory of scripts may be full. */
bool kad_host_finish(struct kad_host *host, bool at_last) {
  struct finish finish = {.host = host, .at_last = at_last};
  if (host->L == NULL || !host->owns_state || host->users > 1 ||
      host->stopped) {
    return true;
  }
  return kad_host_protect(host, true, call_finish, &finish, leave_message) !=
             LUA_OK ||
         finish.finished;
}

/* Removes the values of a host from the registry. [-0, +0, m] */
static void remove_values(lua_State *L, const struct kad_host_keys *keys) {
  const char *const all[] = {&keys->setup, &keys->node,         &keys->text,
                             &keys->log,   &keys->probe_result, &keys->answer};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, all[i]);
  }
}

void kad_host_close(lua_State *L, struct kad_host *host) {
  lua_State *const state = host->L;
  kad_lua_dependent_remove(&host->dependent);
  host->L = NULL;
  if (state != NULL && host->owns_state) {
    lua_close(state);
  }
  remove_values(L, &host->keys);
}

bool kad_host_is_running(const struct kad_host *host) {
  return host->owns_state && host->L != NULL && host->meter->entry != NULL;
}
