/* policy.c: makes hosts, installs their policies in nodes, and ends them.
 *
 * A host has two users: the ruleset of its node, until the core releases it,
 * and a handle in the state that attached it. Whichever ends last frees the
 * host. A VM is closed with the handle, so never from inside a call into it. */
#include "policy/policy.h"

#include "lua/link.h"

#include <string.h>

static const char handle_name[] = "kadenza.PolicyHost";

/* The memory of a handle. */
struct handle {
  struct kad_host *host; /* NULL once closed */
};

/* ---------------------------------------------------------------- running --
 */

/* Leaves the string or nil at the top for the other state. [-1, +0, m] */
static void leave(lua_State *L, const struct kad_host *host) {
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->bits);
}

static void keep_message(lua_State *L, int status) {
  const struct kad_lua_context *const context = kad_lua_context(L);
  if (status != LUA_ERRMEM) {
    lua_pushvalue(L, -1);
    leave(L, context->host);
  }
}

/* Runs `body` in the state of `host`, in a VM as an entry of its own. Returns a
 * LUA_… status. [-0, +0, -] */
static int run(struct kad_host *host, lua_CFunction body, void *argument) {
  struct kad_meter_entry entry;
  if (!host->owns_state) { /* the caller's state is the caller's to meter */
    return kad_lua_protect(host->L, body, argument,
                           kad_lua_context(host->L)->report);
  }
  kad_meter_enter(host->L, host->meter, &entry);
  const int status = kad_lua_protect(host->L, body, argument, keep_message);
  kad_meter_leave(host->meter);
  return status;
}

/* ------------------------------------------------------------------ ending --
 */

/* The end of what runs in a VM. */
struct finish {
  const struct kad_host *host;
  bool at_last;  /* what does not end now is dropped */
  bool finished; /* nothing is left */
};

/* Calls setup.finish(at last) → whether nothing is left. [-0, +0, e] */
static int finish_body(lua_State *L) {
  struct finish *const finish = lua_touserdata(L, 1);
  finish->host->meter->entry->own = true; /* the scripts' memory may be full */
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, finish->host) == LUA_TTABLE &&
      lua_getfield(L, -1, "finish") == LUA_TFUNCTION) {
    lua_pushboolean(L, finish->at_last);
    lua_call(L, 1, 1);
    finish->finished = lua_toboolean(L, -1);
  }
  return 0;
}

/* Cancels what is left in the VM of a host that is released. Returns true when
 * it has ended. */
static bool finish_host(struct kad_host *host, bool at_last) {
  struct finish finish = {.host = host, .at_last = at_last};
  if (host->L == NULL || !host->owns_state || host->users > 1 ||
      host->stopped) {
    return true;
  }
  return run(host, finish_body, &finish) != LUA_OK || finish.finished;
}

/* Ends the Lua side of a host: its hooks fail from now on. Tasks that are left
 * in a VM are canceled, so that their `<close>` variables run; not while hooks
 * wait, which only happens when the state of the node is closed. */
static void close_host(struct kad_host *host) {
  lua_State *const L = host->L;
  if (L == NULL) {
    return;
  }
  (void)finish_host(host, true);
  kad_hook_free_runners(host);
  host->L = NULL;
  if (host->owns_state) {
    lua_close(L);
  }
}

/* Lets the registry forget what a host has under its addresses: the set-up or
 * the log, the node, what was left and answers. [-0, +0, m] */
static void forget_host(lua_State *L, const struct kad_host *host) {
  const void *const keys[] = {host, &host->L, &host->bits, &host->asked,
                              &host->asks};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, keys[i]);
  }
}

/* Closes a handle, which may be closed already. [-0, +0, m] */
static void close_handle(lua_State *L, struct handle *handle) {
  struct kad_host *const host = handle->host;
  if (host != NULL) {
    handle->host = NULL;
    close_host(host);
    forget_host(L, host);
    kad_host_drop(host);
  }
}

/* Tells whether a VM is running: what it calls in the parent, such as the log,
 * may not close it. */
static bool is_running(const struct kad_host *host) {
  return host->owns_state && host->L != NULL && host->meter->entry != NULL;
}

static int handle_close(lua_State *L) {
  struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  if (handle->host != NULL && is_running(handle->host)) {
    return luaL_error(L, "policies cannot be closed while they run");
  }
  close_handle(L, handle);
  return 0;
}

static int handle_gc(lua_State *L) {
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

/* policy_host(node, setup) → handle, or nil, message, code. The host is in the
 * caller's own state; `swap` installs it. */
static int policy_host(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  struct kad_host *const host = push_host(L, 1);
  if (host == NULL) {
    return kad_lua_push_error(L, KAD_ENOMEM);
  }
  host->L = kad_lua_context(L)->main;
  host->meter = kad_meter_of(L);
  lua_pushvalue(L, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, host);
  return 1;
}

/* What loading in a VM needs, and what comes of it. */
struct loading {
  const struct kad_lua_node *node;
  const struct kad_lua_network *network;
  struct kad_slice files; /* packed */
  struct kad_host *host;
  bool loaded;
};

/* In the VM: host.load_files(node, network, files, log) gives the set-up, or
 * nil and a message, which is left for the parent. [-0, +0, e] */
static int load_body(lua_State *L) {
  struct loading *const loading = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "kadenza.policy.host");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "load_files");
  (void)kad_lua_borrow_node(L, loading->node);
  (void)kad_lua_borrow_network(L, loading->network);
  kad_lua_push_slice(L, loading->files);
  lua_pushcfunction(L, kad_vm_log);
  lua_call(L, 4, 2);
  loading->loaded = lua_istable(L, -2);
  if (loading->loaded) {
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, loading->host);
  } else {
    leave(L, loading->host);
  }
  return 0;
}

/* Pushes what the state of `host` has left, a string or nil, and returns it.
 * [-0, +1, -] */
static const char *push_left(const struct kad_host *host, size_t *len) {
  lua_checkstack(host->L, 2);
  lua_rawgetp(host->L, LUA_REGISTRYINDEX, &host->bits);
  return lua_tolstring(host->L, -1, len);
}

/* Pushes nil and what the state of `host` has left. [-0, +3, m] */
static int push_problem(lua_State *L, const struct kad_host *host) {
  size_t len = 0;
  luaL_pushfail(L);
  const char *const text = push_left(host, &len);
  if (text != NULL) {
    lua_pushlstring(L, text, len);
  } else {
    lua_pushliteral(L, "out of memory");
  }
  if (host->L != L) {
    lua_pop(host->L, 1);
  } else {
    lua_remove(L, -2);
  }
  lua_pushliteral(L, "KAD_EINVAL");
  return 3;
}

/* policy_vm(node, network, files, sources, memory bytes, instructions, log) →
 * handle, or nil, message, code. Loads files into a VM of their own; `swap`
 * installs them. */
static int policy_vm(lua_State *L) {
  struct loading loading = {
      .node = kad_lua_check_node(L, 1),
      .network = kad_lua_check_network(L, 2),
      .files = kad_lua_check_slice(L, 3),
  };
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
  loading.host = host;
  host->meter->budget = (uint64_t)budget;
  if (run(host, load_body, &loading) == LUA_OK && loading.loaded) {
    return 1;
  }
  const int results = push_problem(L, host);
  close_handle(L, lua_touserdata(L, 8));
  return results;
}

static struct kad_host *check_host(lua_State *L, int arg) {
  const struct handle *const handle = luaL_checkudata(L, arg, handle_name);
  luaL_argcheck(L, handle->host != NULL && handle->host->L != NULL, arg,
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

/* handle:call(name): calls a function of the set-up: start, stop or halt. What
 * it calls may reload the node: the host stays until it has returned. */
static int handle_call(lua_State *L) {
  struct kad_host *const host = check_host(L, 1);
  static const char *const names[] = {"start", "stop", "halt", NULL};
  struct call call = {.host = host,
                      .name = names[luaL_checkoption(L, 2, NULL, names)]};
  struct kad_meter_entry entry;
  host->users++;
  if (host->owns_state) {
    kad_meter_enter(host->L, host->meter, &entry);
  }
  (void)kad_lua_protect(host->L, call_body, &call,
                        kad_lua_context(host->L)->report);
  if (host->owns_state) {
    kad_meter_leave(host->meter);
  }
  kad_host_drop(host);
  return 0;
}

/* ---------------------------------------------------------------- swapping --
 */

/* One state on its way from the old policies to the new ones. */
struct passage {
  struct kad_host *host; /* in whose state a body runs */
  lua_Integer index;     /* of the policy that is asked to save */
  const char *bytes;     /* what it gave */
  size_t len;
  bool last;     /* there is no such policy */
  bool lost;     /* the old state cannot even be asked */
  bool restored; /* or the problem is left */
};

/* Calls setup.save(index) → false behind the last, nil, or bytes, which are
 * left. [-0, +0, e] */
static int save_body(lua_State *L) {
  struct passage *const passage = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, passage->host);
  lua_getfield(L, -1, "save");
  lua_pushinteger(L, passage->index);
  lua_call(L, 1, 1);
  passage->last = lua_isboolean(L, -1);
  leave(L, passage->host);
  return 0;
}

/* Calls setup.restore(bytes) → true, or nil and a message, which is left.
 * [-0, +0, e] */
static int restore_body(lua_State *L) {
  struct passage *const passage = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, passage->host);
  lua_getfield(L, -1, "restore");
  lua_pushlstring(L, passage->bytes, passage->len);
  lua_call(L, 1, 2);
  passage->restored = lua_toboolean(L, -2);
  leave(L, passage->host);
  return 0;
}

static void forget_left(const struct kad_host *host) {
  lua_checkstack(host->L, 2);
  lua_pushnil(host->L);
  lua_rawsetp(host->L, LUA_REGISTRYINDEX, &host->bits);
}

/* Takes the state of one policy across. Returns false when it cannot be
 * restored. */
static bool carry(struct kad_host *to, struct passage *passage) {
  struct kad_host *const from = passage->host;
  bool carried = true;
  forget_left(from);
  if (run(from, save_body, passage) != LUA_OK) {
    forget_left(from);
    passage->last = true;
    passage->lost = true;
  }
  passage->bytes = push_left(from, &passage->len);
  if (passage->bytes != NULL) {
    passage->host = to;
    carried = run(to, restore_body, passage) == LUA_OK && passage->restored;
    passage->host = from;
  }
  lua_pop(from->L, 1);
  return carried;
}

/* Takes what the old policies save across. None of their hooks runs meanwhile:
 * what it changed would be lost. Returns false when a `restore` fails. */
static bool carry_all(struct kad_host *to, struct passage *passage) {
  struct kad_host *const from = passage->host;
  const bool stopped = from->stopped;
  bool carried = true;
  from->stopped = true;
  while (carried && !passage->last) {
    passage->index++;
    carried = carry(to, passage);
  }
  from->stopped = stopped;
  return carried;
}

static int install_body(lua_State *L) {
  struct kad_installation *const installation = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, installation->host);
  kad_policy_install(L, installation);
  return 0;
}

/* policy_swap(handle[, before]) → true and whether states were lost, or nil,
 * message, code. Gives the node the policies of `handle`, with what those of
 * `before` save. In one call, so that nothing comes in between. */
static int policy_swap(lua_State *L) {
  struct kad_host *const host = check_host(L, 1);
  struct passage passage = {0};
  struct kad_installation installation = {.host = host};
  passage.host = lua_isnoneornil(L, 2) ? NULL : check_host(L, 2);
  lua_settop(L, 2);
  forget_left(host);
  if (passage.host != NULL && !carry_all(host, &passage)) {
    return push_problem(L, host);
  }
  if (host->node->node == NULL) {
    return kad_lua_push_error(L, KAD_ECLOSED);
  }
  if (run(host, install_body, &installation) != LUA_OK) {
    return push_problem(L, host);
  }
  if (installation.error != 0) {
    return kad_lua_push_error(L, installation.error);
  }
  lua_pushboolean(L, true);
  lua_pushboolean(L, passage.lost);
  return 2;
}

/* handle:is_released() → true once nothing of the policies is under way */
static int handle_is_released(lua_State *L) {
  const struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  const struct kad_host *const host = handle->host;
  lua_pushboolean(L, host == NULL || (host->users == 1 && !is_running(host)));
  return 1;
}

/* handle:finish() → true once nothing is left in the VM of policies that are
 * released; what is left is canceled, and ends in the next turns of the loop */
static int handle_finish(lua_State *L) {
  const struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  lua_pushboolean(L, handle->host == NULL || finish_host(handle->host, false));
  return 1;
}

static void set_number(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/* Pushes the histogram of a hook: calls under 1, 2, 4 ... microseconds.
 * [-0, +1, m] */
static void push_times(lua_State *L, const struct kad_lua_hook *hook) {
  lua_createtable(L, KAD_HOOK_TIMES, 0);
  for (lua_Integer i = 0; i < KAD_HOOK_TIMES; i++) {
    lua_pushinteger(L, (lua_Integer)hook->times[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* handle:stats() → table: hooks by name, memory, clamped */
static int handle_stats(lua_State *L) {
  const struct kad_host *const host = check_host(L, 1);
  lua_newtable(L);
  lua_newtable(L);
  for (size_t i = 0; i < host->hook_count; i++) {
    const struct kad_lua_hook *const hook = &host->hooks[i];
    lua_newtable(L);
    set_number(L, "calls", hook->calls);
    set_number(L, "errors", hook->errors);
    set_number(L, "overruns", hook->overruns);
    set_number(L, "yields", hook->yields);
    set_number(L, "instructions", hook->instructions);
    set_number(L, "preempted", hook->preempted);
    lua_pushnumber(L, (lua_Number)hook->ns / 1e9);
    lua_setfield(L, -2, "seconds");
    lua_pushnumber(L, (lua_Number)hook->slowest_ns / 1e9);
    lua_setfield(L, -2, "slowest");
    push_times(L, hook);
    lua_setfield(L, -2, "time");
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

static int handle_ask(lua_State *L) {
  return kad_host_ask(L, check_host(L, 1));
}

static int handle_take_answer(lua_State *L) {
  return kad_host_take_answer(L, check_host(L, 1));
}

/* handle:give_up(): cancels the call that waits, as its deadline would */
static int handle_give_up(lua_State *L) {
  struct kad_host *const host = check_host(L, 1);
  if (host->asked != 0) {
    kad_hook_abandon(host, host->asked);
  }
  return 0;
}

static int handle_describe(lua_State *L) {
  return kad_host_describe(L, check_host(L, 1));
}

void kad_lua_add_policy_host(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"call", handle_call},
      {"stats", handle_stats},
      {"ask", handle_ask},
      {"take_answer", handle_take_answer},
      {"give_up", handle_give_up},
      {"describe", handle_describe},
      {"is_released", handle_is_released},
      {"finish", handle_finish},
      {"close", handle_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
      {"__gc", handle_gc},
      {"__close", handle_close},
      {NULL, NULL},
  };
  kad_lua_push_metatable(L, handle_name, methods, NULL, meta);
  lua_pop(L, 1);
  lua_pushcfunction(L, policy_host);
  lua_setfield(L, -2, "policy_host");
  lua_pushcfunction(L, policy_swap);
  lua_setfield(L, -2, "policy_swap");
  lua_pushcfunction(L, policy_vm);
  lua_setfield(L, -2, "policy_vm");
}
