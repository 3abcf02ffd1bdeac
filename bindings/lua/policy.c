/* policy.c: makes hosts, installs their policies in nodes, and ends them.
 *
 * A host has two users: the ruleset of its node, until the core releases it,
 * and a handle in the state that attached it. Whichever ends last frees the
 * host. A VM is closed with the handle, so never from inside a call into it. */
#include "policy.h"

#include "link.h"

#include <string.h>

static const char handle_name[] = "kadenza.PolicyHost";

/* The memory of a handle. */
struct handle {
  struct kad_host *host; /* NULL once closed */
};

/* ------------------------------------------------------------------ ending --
 */

/* Ends the Lua side of a host: its hooks fail from now on. */
static void close_host(struct kad_host *host) {
  lua_State *const L = host->L;
  if (L == NULL) {
    return;
  }
  kad_hook_free_runners(host);
  host->L = NULL;
  if (host->owns_state) {
    lua_close(L);
  }
}

/* Closes a handle, which may be closed already. [-0, +0, m] */
static void close_handle(lua_State *L, struct handle *handle) {
  struct kad_host *const host = handle->host;
  if (host != NULL) {
    handle->host = NULL;
    close_host(host);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, host);
    kad_host_drop(host);
  }
}

static int handle_close(lua_State *L) {
  close_handle(L, luaL_checkudata(L, 1, handle_name));
  return 0;
}

/* ---------------------------------------------------------------- handles --
 */

/* Pushes a handle of a new host of the node at `arg`. Returns the host, or NULL
 * when memory ends. [-0, +1, m] */
static struct kad_host *push_host(lua_State *L, int arg) {
  const struct kad_allocator heap = kad_allocator_default();
  const struct kad_lua_node *const node = kad_lua_check_node(L, arg);
  struct handle *const handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (struct handle){0};
  luaL_setmetatable(L, handle_name);
  struct kad_host *const host = heap.resize(heap.state, NULL, 0, sizeof *host);
  if (host == NULL) {
    return NULL;
  }
  *host = (struct kad_host){
      .node = kad_lua_link_share(node->link),
      .users = 1,
      .bits = node->bits,
      .parent = kad_lua_context(L)->main,
  };
  handle->host = host;
  return host;
}

/* policy_install(node, setup) → handle, or nil, message, code. The host is in
 * the caller's own state. */
static int policy_install(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  struct kad_host *const host = push_host(L, 1);
  if (host == NULL) {
    return kad_lua_push_error(L, KAD_ENOMEM);
  }
  struct kad_installation installation = {.host = host};
  host->L = kad_lua_context(L)->main;
  host->meter = kad_meter_of(L);
  kad_policy_install(L, &installation);
  if (installation.error != 0) {
    return kad_lua_push_error(L, installation.error);
  }
  lua_settop(L, 3);
  return 1;
}

/* What loading in a VM needs, and what comes of it. */
struct loading {
  const struct kad_lua_node *node;
  const struct kad_lua_network *network;
  lua_State *parent;
  int paths; /* index of the list in the parent */
  struct kad_installation installation;
  bool loaded;
};

/* Copies the list of paths to the VM. [-0, +1, m] */
static void copy_paths(lua_State *L, const struct loading *loading) {
  lua_State *const parent = loading->parent;
  const lua_Integer count = (lua_Integer)lua_rawlen(parent, loading->paths);
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(parent, loading->paths, i);
    lua_pushstring(L, lua_tostring(parent, -1));
    lua_pop(parent, 1);
    lua_rawseti(L, -2, i);
  }
}

/* In the VM: host.load(node, network, paths, log) gives the set-up, or nil and
 * a message, which is left in the registry for the parent. [-0, +0, e] */
static int load_body(lua_State *L) {
  struct loading *const loading = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "kadenza.policy.host");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "load_files");
  (void)kad_lua_borrow_node(L, loading->node);
  (void)kad_lua_borrow_network(L, loading->network);
  copy_paths(L, loading);
  lua_pushcfunction(L, kad_vm_log);
  lua_call(L, 4, 2);
  if (!lua_istable(L, -2)) {
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loading->installation.host->bits);
    return 0;
  }
  lua_pop(L, 1);
  lua_replace(L, 2);
  lua_settop(L, 2);
  loading->loaded = true;
  kad_policy_install(L, &loading->installation);
  return 0;
}

static void keep_message(lua_State *L, int status) {
  const struct kad_lua_context *const context = kad_lua_context(L);
  const struct kad_host *const host = context->host;
  if (status == LUA_ERRMEM) {
    return;
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->bits);
}

/* Pushes nil and what the VM said. [-0, +3, m] */
static int push_problem(lua_State *L, const struct kad_host *host) {
  lua_State *const vm = host->L;
  luaL_pushfail(L);
  lua_rawgetp(vm, LUA_REGISTRYINDEX, &host->bits);
  size_t len = 0;
  const char *const text = lua_tolstring(vm, -1, &len);
  if (text != NULL) {
    lua_pushlstring(L, text, len);
  } else {
    lua_pushliteral(L, "out of memory");
  }
  lua_pop(vm, 1);
  lua_pushliteral(L, "KAD_EINVAL");
  return 3;
}

/* policy_vm(node, network, paths, sources, memory bytes, instructions, log) →
 * handle, or nil, message, code. Loads files into a VM of their own. */
static int policy_vm(lua_State *L) {
  struct loading loading = {
      .node = kad_lua_check_node(L, 1),
      .network = kad_lua_check_network(L, 2),
      .parent = L,
      .paths = 3,
  };
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_checktype(L, 4, LUA_TTABLE);
  const lua_Integer memory = kad_lua_check_integer(L, 5, 1 << 20, 1LL << 40);
  const lua_Integer budget = kad_lua_check_integer(L, 6, 1, 1LL << 40);
  luaL_checktype(L, 7, LUA_TFUNCTION);
  lua_settop(L, 7);
  struct kad_host *const host = push_host(L, 1);
  if (host == NULL) {
    return kad_lua_push_error(L, KAD_ENOMEM);
  }
  lua_pushvalue(L, 7);
  lua_rawsetp(L, LUA_REGISTRYINDEX, host);
  host->memory_limit = (size_t)memory;
  const int error = kad_vm_new(L, 4, host);
  if (error != 0) {
    return kad_lua_push_error(L, error);
  }
  loading.installation.host = host;
  host->meter->budget = (uint32_t)(budget / KAD_METER_SLICE + 1);
  struct kad_meter_entry entry;
  kad_meter_enter(host->L, host->meter, &entry);
  const int status =
      kad_lua_protect(host->L, load_body, &loading, keep_message);
  kad_meter_leave(host->meter);
  if (status == LUA_OK && loading.loaded && loading.installation.error == 0) {
    return 1;
  }
  const int results = loading.installation.error != 0
                          ? kad_lua_push_error(L, loading.installation.error)
                          : push_problem(L, host);
  close_handle(L, lua_touserdata(L, 8));
  return results;
}

static struct kad_host *check_host(lua_State *L) {
  const struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  luaL_argcheck(L, handle->host != NULL && handle->host->L != NULL, 1,
                "closed policies");
  return handle->host;
}

/* What handle:call does in the host's state. */
struct call {
  const struct kad_host *host;
  const char *name;
};

static int call_body(lua_State *L) {
  const struct call *const call = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, call->host);
  lua_getfield(L, -1, call->name);
  lua_call(L, 0, 0);
  return 0;
}

/* handle:call(name): calls a function of the set-up: start or stop */
static int handle_call(lua_State *L) {
  struct kad_host *const host = check_host(L);
  static const char *const names[] = {"start", "stop", NULL};
  struct call call = {.host = host,
                      .name = names[luaL_checkoption(L, 2, NULL, names)]};
  struct kad_meter_entry entry;
  if (host->owns_state) { /* the caller's state is the caller's to meter */
    kad_meter_enter(host->L, host->meter, &entry);
  }
  (void)kad_lua_protect(host->L, call_body, &call,
                        kad_lua_context(host->L)->report);
  if (host->owns_state) {
    kad_meter_leave(host->meter);
  }
  return 0;
}

/* handle:is_released() → true once nothing of the policies is under way */
static int handle_is_released(lua_State *L) {
  const struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  lua_pushboolean(L, handle->host == NULL || handle->host->users == 1);
  return 1;
}

static void set_number(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/* handle:stats() → table: hooks by name, memory, clamped */
static int handle_stats(lua_State *L) {
  const struct kad_host *const host = check_host(L);
  lua_newtable(L);
  lua_newtable(L);
  for (size_t i = 0; i < host->hook_count; i++) {
    const struct kad_lua_hook *const hook = &host->hooks[i];
    lua_newtable(L);
    set_number(L, "calls", hook->calls);
    set_number(L, "errors", hook->errors);
    set_number(L, "overruns", hook->overruns);
    set_number(L, "yields", hook->yields);
    lua_pushboolean(L, hook->open_until != 0);
    lua_setfield(L, -2, "suspended");
    lua_setfield(L, -2, hook->name);
  }
  lua_setfield(L, -2, "hooks");
  set_number(L, "memory", host->memory_used);
  set_number(L, "clamped", host->clamped);
  set_number(L, "log_dropped", host->log_dropped);
  return 1;
}

void kad_lua_add_policy_host(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"call", handle_call},
      {"stats", handle_stats},
      {"is_released", handle_is_released},
      {"close", handle_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
      {"__gc", handle_close},
      {"__close", handle_close},
      {NULL, NULL},
  };
  kad_lua_push_metatable(L, handle_name, methods, NULL, meta);
  lua_pop(L, 1);
  lua_pushcfunction(L, policy_install);
  lua_setfield(L, -2, "policy_install");
  lua_pushcfunction(L, policy_vm);
  lua_setfield(L, -2, "policy_vm");
}
