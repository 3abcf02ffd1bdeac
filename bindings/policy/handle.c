/* handle.c: the handles that Lua code has of hosts: it makes hosts, installs
 * their policies in nodes, and closes them.
 *
 * A host has two users: the ruleset of its node, until the core releases it,
 * and a handle in the state that made it. The last user to end frees the host.
 * A VM is closed with its handle, so never inside a call into it. */
#include "policy/handle.h"

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/network.h"
#include "lua/node.h"
#include "lua/value.h"
#include "policy/hook.h"
#include "policy/install.h"
#include "policy/runner.h"
#include "policy/vm.h"

static const char handle_name[] = "kadenza.PolicyHost";

/* Ranges of arguments of policy_vm: bytes, and instructions of an entry. */
static const lua_Integer memory_min = 1 << 20;
static const lua_Integer memory_max = 1LL << 40;
static const lua_Integer budget_max = 1LL << 40;

/* The memory of a handle. */
struct handle {
  struct kad_host *host; /* NULL once closed */
};

/* ------------------------------------------------------------- closing -- */

/* Ends what is left of the policies, which no longer run, and closes their VM.
 * Tasks that are left in it are canceled, so that their `<close>` variables
 * run. Hooks are pending then only if the state of the node itself is closed.
 * [-0, +0, m] */
static void end_policies(lua_State *L, struct kad_host *host) {
  if (host->L != NULL) {
    kad_runner_free_all(host);
  }
  kad_host_close(L, host);
}

/* Closes a handle, which may be closed already. [-0, +0, m] */
static void close_handle(lua_State *L, struct handle *handle) {
  struct kad_host *const host = handle->host;
  if (host != NULL) {
    handle->host = NULL;
    (void)kad_host_finish(host, true);
    end_policies(L, host);
    kad_host_release(host);
  }
}

/* Tells whether neither the VM nor a hook of `host` runs or waits. */
static bool is_idle(const struct kad_host *host) {
  const struct kad_runner *runner = host->runners;
  while (runner != NULL && kad_runner_is_idle(runner)) {
    runner = runner->next;
  }
  return runner == NULL && !host->codec.busy && !kad_host_is_running(host);
}

/* The `end` of a host, when its node is closed: frees its VM at once. Leaves a
 * host that runs, or whose tasks have not ended, to its handle. */
static void end_with_node(struct kad_lua_dependent *dependent, lua_State *L,
                          bool at_last) {
  struct kad_host *const host = (struct kad_host *)dependent;
  if (host->users > 1 || !is_idle(host)) {
    return;
  }
  if (kad_host_finish(host, at_last) || at_last) {
    end_policies(L, host);
  }
  if (host->handle_is_gone) {
    kad_host_release(host);
  }
}

static int handle_close(lua_State *L) {
  struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  if (handle->host != NULL && kad_host_is_running(handle->host)) {
    return luaL_error(L, "policies cannot be closed while they run");
  }
  close_handle(L, handle);
  return 0;
}

static int handle_gc(lua_State *L) {
  struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  if (handle->host != NULL && kad_host_is_running(handle->host)) {
    handle->host->handle_is_gone = true; /* end_with_node runs it */
  } else {
    close_handle(L, handle);
  }
  return 0;
}

/* -------------------------------------------------------------- making -- */

/* Pushes a handle of a new host of the node at `arg`. Returns the host, or NULL
 * when memory ends. [-0, +1, v] */
static struct kad_host *push_host(lua_State *L, int arg) {
  const struct kad_lua_node *const node = kad_lua_check_node(L, arg);
  struct handle *const handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (struct handle){0};
  luaL_setmetatable(L, handle_name);
  handle->host = kad_host_new(L, node);
  if (handle->host != NULL) {
    handle->host->dependent.end = end_with_node;
    kad_lua_dependent_add(node->link, &handle->host->dependent);
  }
  return handle->host;
}

/* policy_host(node, setup) → handle, or nil, message, code. The host is in the
 * caller's own state; policy_swap installs it. */
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
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->keys.setup);
  return 1;
}

/* The loading of files into a VM, and its outcome. */
struct loading {
  const struct kad_lua_node *node;
  const struct kad_lua_network *network;
  struct kad_slice files; /* packed */
  struct kad_host *host;
  bool loaded;
};

/* In the VM: calls host.load_files(node, network, files, log) → set-up, or nil
 * and a message, which is left. [-0, +0, e] */
static int load_files(lua_State *L) {
  struct loading *const loading = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "kadenza.policy.host");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "load_files");
  (void)kad_lua_node_borrow(L, loading->node);
  (void)kad_lua_network_borrow(L, loading->network);
  kad_lua_push_slice(L, loading->files);
  lua_pushcfunction(L, kad_vm_log);
  lua_call(L, 4, 2);
  loading->loaded = lua_istable(L, -2);
  if (loading->loaded) {
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loading->host->keys.setup);
  } else {
    kad_host_set_text(L, loading->host);
  }
  return 0;
}

/* Pushes nil, the text that was left in `host`, and a code. [-0, +3, m] */
static int push_problem(lua_State *L, const struct kad_host *host) {
  kad_host_copy_text(L, host);
  return kad_lua_push_error_message(L, host->load_error != 0 ? host->load_error
                                                             : KAD_EINVAL);
}

/* policy_vm(node, network, files, sources, memory bytes, instructions, log) →
 * handle, or nil, message, code. Loads files into a VM of their own;
 * policy_swap installs them. */
static int policy_vm(lua_State *L) {
  struct loading loading = {
      .node = kad_lua_check_node(L, 1),
      .network = kad_lua_check_network(L, 2),
      .files = kad_lua_check_slice(L, 3),
  };
  luaL_checktype(L, 4, LUA_TTABLE);
  const lua_Integer memory =
      kad_lua_check_integer(L, 5, memory_min, memory_max);
  const lua_Integer budget = kad_lua_check_integer(L, 6, 1, budget_max);
  luaL_checktype(L, 7, LUA_TFUNCTION);
  lua_settop(L, 7);
  struct kad_host *const host = push_host(L, 1);
  if (host == NULL) {
    return kad_lua_push_error(L, KAD_ENOMEM);
  }
  lua_pushvalue(L, 7);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->keys.log);
  host->memory_limit = (size_t)memory;
  const int error = kad_vm_new(L, 4, host);
  if (error != 0) {
    return kad_lua_push_error(L, error);
  }
  loading.host = host;
  host->meter->budget = (uint64_t)budget;
  if (kad_host_run(host, false, load_files, &loading) == LUA_OK &&
      loading.loaded) {
    kad_lua_context_collect(L);
    return 1;
  }
  const int results = push_problem(L, host);
  close_handle(L, lua_touserdata(L, 8));
  return results;
}

/* Returns the host of a handle; NULL once it is closed. [-0, +0, v] */
static struct kad_host *open_host(lua_State *L, int arg) {
  const struct handle *const handle = luaL_checkudata(L, arg, handle_name);
  const bool is_open = handle->host != NULL && handle->host->L != NULL;
  return is_open ? handle->host : NULL;
}

static struct kad_host *check_host(lua_State *L, int arg) {
  struct kad_host *const host = open_host(L, arg);
  luaL_argcheck(L, host != NULL, arg, "closed policies");
  return host;
}

/* A function of the set-up. */
struct setup_call {
  const struct kad_host *host;
  const char *name;
};

static int call_setup(lua_State *L) {
  const struct setup_call *const call = lua_touserdata(L, 1);
  kad_host_push_field(L, call->host, call->name);
  lua_call(L, 0, 0);
  return 0;
}

/* Ends policies whose node was closed while they ran. [-0, +0, m] */
static void end_if_left(lua_State *L, const struct handle *handle) {
  struct kad_host *const host = handle->host;
  if (host != NULL && host->link->node == NULL && host->L != NULL) {
    end_with_node(&host->dependent, L, host->link->home == NULL);
  }
}

/* handle:call(name): calls a function of the set-up: start, stop or halt. That
 * may reload the policies: the host is kept until it has returned. */
static int handle_call(lua_State *L) {
  static const char *const names[] = {"start", "stop", "halt", NULL};
  struct kad_host *const host = check_host(L, 1);
  struct setup_call call = {
      .host = host,
      .name = names[luaL_checkoption(L, 2, NULL, names)],
  };
  host->users++;
  (void)kad_host_protect(host, false, call_setup, &call,
                         kad_lua_context(host->L)->report);
  kad_host_release(host);
  end_if_left(L, luaL_checkudata(L, 1, handle_name));
  return 0;
}

/* ------------------------------------------------------------ swapping -- */

/* The saved state of one policy on its way. */
struct migration {
  struct kad_host *from;
  struct kad_host *to;
  lua_Integer index; /* of the policy, from 1 */
  const char *bytes; /* its saved state; NULL: it has none */
  size_t len;
  bool last;     /* there is no policy of that index */
  bool lost;     /* `save` could not be called */
  bool restored; /* else `to` has left the problem */
};

/* Calls setup.save(index) → the saved bytes, which are left; nil; or false
 * behind the last policy. [-0, +0, e] */
static int call_save(lua_State *L) {
  struct migration *const migration = lua_touserdata(L, 1);
  kad_host_push_field(L, migration->from, "save");
  lua_pushinteger(L, migration->index);
  lua_call(L, 1, 1);
  migration->last = lua_isboolean(L, -1);
  kad_host_set_text(L, migration->from);
  return 0;
}

/* Calls setup.restore(bytes) → true, or nil, message: it is left. [-0, +0, e]
 */
static int call_restore(lua_State *L) {
  struct migration *const migration = lua_touserdata(L, 1);
  kad_host_push_field(L, migration->to, "restore");
  lua_pushlstring(L, migration->bytes, migration->len);
  lua_call(L, 1, 2);
  migration->restored = lua_toboolean(L, -2);
  kad_host_set_text(L, migration->to);
  return 0;
}

/* Migrates one policy. Returns false when its state cannot be restored. */
static bool migrate_policy(struct migration *migration) {
  struct kad_host *const from = migration->from;
  bool restored = true;
  kad_host_clear_text(from);
  if (kad_host_run(from, false, call_save, migration) != LUA_OK) {
    kad_host_clear_text(from);
    migration->last = true;
    migration->lost = true;
  }
  migration->bytes = kad_host_get_text(from, &migration->len);
  if (migration->bytes != NULL) {
    restored =
        kad_host_run(migration->to, false, call_restore, migration) == LUA_OK &&
        migration->restored;
  }
  lua_pop(from->L, 1);
  return restored;
}

/* Gives what the policies of `from` save to `restore` of those of `to`. No hook
 * of `from` runs meanwhile: what it changes would be lost. Sets `*lost` if a
 * `save` could not be called. Returns false when a `restore` fails; the problem
 * is the text that `to` leaves. */
static bool migrate_policies(struct kad_host *from, struct kad_host *to,
                             bool *lost) {
  struct migration migration = {.from = from, .to = to};
  const bool stopped = from->stopped;
  bool restored = true;
  from->stopped = true;
  from->users++; /* the scripts may close the node */
  to->users++;
  while (restored && !migration.last) {
    migration.index++;
    restored = migrate_policy(&migration);
  }
  kad_host_release(to);
  kad_host_release(from);
  from->stopped = stopped;
  *lost = migration.lost;
  return restored;
}

/* Installs the set-up. [-0, +0, e] */
static int install_setup(lua_State *L) {
  struct kad_installation *const installation = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &installation->host->keys.setup);
  kad_policy_install(L, installation);
  return 0;
}

/* policy_swap(handle[, old]) → true and whether states were lost, or nil,
 * message, code. Gives the node the policies of `handle`, with what the
 * policies of `old` save. It is one call, so that nothing runs in between. */
static int policy_swap(lua_State *L) {
  struct kad_host *const host = check_host(L, 1);
  struct kad_host *const old = lua_isnoneornil(L, 2) ? NULL : check_host(L, 2);
  struct kad_installation installation = {.host = host};
  bool lost = false;
  lua_settop(L, 2);
  kad_host_clear_text(host);
  if (old != NULL && !migrate_policies(old, host, &lost)) {
    return push_problem(L, host);
  }
  if (host->link->node == NULL) {
    return kad_lua_push_error(L, KAD_ECLOSED);
  }
  if (kad_host_run(host, false, install_setup, &installation) != LUA_OK) {
    return push_problem(L, host);
  }
  if (installation.error != 0) {
    if (installation.problem[0] == '\0') {
      return kad_lua_push_error(L, installation.error);
    }
    lua_pushstring(L, installation.problem);
    return kad_lua_push_error_message(L, installation.error);
  }
  lua_pushboolean(L, true);
  lua_pushboolean(L, lost);
  return 2;
}

/* handle:is_released() → true once none of the policies' work is under way */
static int handle_is_released(lua_State *L) {
  const struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  const struct kad_host *const host = handle->host;
  lua_pushboolean(L, host == NULL ||
                         (host->users == 1 && host->served.pending == 0 &&
                          !kad_host_is_running(host)));
  return 1;
}

/* handle:finish() → true once no task is left in the VM of released policies.
 * Tasks that are left are canceled, and end in the next turns of the loop. */
static int handle_finish(lua_State *L) {
  const struct handle *const handle = luaL_checkudata(L, 1, handle_name);
  lua_pushboolean(L,
                  handle->host == NULL || kad_host_finish(handle->host, false));
  return 1;
}

/* handle:stats() → see kad_hook_push_all_stats */
static int handle_stats(lua_State *L) {
  kad_hook_push_all_stats(L, check_host(L, 1));
  return 1;
}

/* A question to the policies: a function of the set-up, and its argument. */
struct question {
  const struct kad_host *host;
  const char *name;
  struct kad_slice argument;
};

/* Leaves the text that the function of the set-up returns. [-0, +0, e] */
static int leave_reply(lua_State *L) {
  const struct question *const question = lua_touserdata(L, 1);
  kad_host_push_field(L, question->host, question->name);
  kad_lua_push_slice(L, question->argument);
  lua_call(L, 1, 1);
  luaL_checktype(L, -1, LUA_TSTRING);
  kad_host_set_text(L, question->host);
  return 0;
}

/* handle:ask(name, text) → the text that a function of the set-up returns, or
 * nil, message, code. */
static int handle_ask(lua_State *L) {
  static const char *const names[] = {"describe", "routes",    "metrics",
                                      "evaluate", "interrupt", "complete",
                                      NULL};
  struct kad_host *const host = open_host(L, 1);
  struct question question = {
      .host = host,
      .name = names[luaL_checkoption(L, 2, NULL, names)],
      .argument = kad_lua_check_slice(L, 3),
  };
  if (host == NULL) {
    return kad_lua_push_error(L, KAD_ECLOSED);
  }
  if (host->stopped) {
    lua_pushliteral(L, "the policies are stopped until they are reloaded");
    return kad_lua_push_error_message(L, KAD_EBUSY);
  }
  kad_host_begin_turn(host);
  kad_host_clear_text(host);
  const int status = kad_host_run(host, true, leave_reply, &question);
  kad_vm_heap_end_entry(host);
  if (status != LUA_OK) {
    return push_problem(L, host);
  }
  kad_host_copy_text(L, host);
  return 1;
}

/* handle:on_answer(fn): fn(id, succeeded, bytes) takes the answers to calls
 * that were pending */
static int handle_on_answer(lua_State *L) {
  const struct kad_host *const host = check_host(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->keys.answer);
  return 0;
}

/* handle:serve(number, request) → see kad_hook_serve */
static int handle_serve(lua_State *L) {
  return kad_hook_serve(L, check_host(L, 1));
}

/* handle:cancel_served(id): cancels a pending call, as its deadline would */
static int handle_cancel_served(lua_State *L) {
  struct kad_host *const host = open_host(L, 1);
  const lua_Integer id = luaL_checkinteger(L, 2);
  if (host != NULL) {
    kad_hook_pending_cancel(host, (uint64_t)id);
  }
  return 0;
}

/* handle:probe(number, call) → see kad_hook_probe */
static int handle_probe(lua_State *L) {
  return kad_hook_probe(L, check_host(L, 1));
}

/* handle:take_probe_result() → the result of the pending probe, if any yet */
static int handle_take_probe_result(lua_State *L) {
  kad_hook_probe_take_result(L, check_host(L, 1));
  return 1;
}

/* handle:cancel_probe(): cancels the pending probe, as its deadline would */
static int handle_cancel_probe(lua_State *L) {
  struct kad_host *const host = check_host(L, 1);
  if (host->probe.call_id != 0) {
    kad_hook_pending_cancel(host, host->probe.call_id);
  }
  return 0;
}

void kad_handle_add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"policy_host", policy_host},
      {"policy_vm", policy_vm},
      {"policy_swap", policy_swap},
      {NULL, NULL},
  };
  static const luaL_Reg methods[] = {
      {"call", handle_call},
      {"stats", handle_stats},
      {"probe", handle_probe},
      {"take_probe_result", handle_take_probe_result},
      {"cancel_probe", handle_cancel_probe},
      {"ask", handle_ask},
      {"on_answer", handle_on_answer},
      {"serve", handle_serve},
      {"cancel_served", handle_cancel_served},
      {"is_released", handle_is_released},
      {"finish", handle_finish},
      {"close", handle_close},
      {NULL, NULL},
  };
  static const luaL_Reg *const all_methods[] = {methods, NULL};
  static const luaL_Reg meta[] = {
      {"__gc", handle_gc},
      {"__close", handle_close},
      {NULL, NULL},
  };
  kad_lua_push_metatable(L, handle_name, all_methods, meta);
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
