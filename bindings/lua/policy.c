/* policy.c: makes hosts, installs their policies in nodes, and ends them.
 *
 * A host has two users: the ruleset of its node, until the core releases it,
 * and a handle in the state that attached it. Whichever ends last frees the
 * host. A VM is closed with the handle, so never from inside a call into it. */
#include "policy.h"

#include "link.h"

#include <string.h>

static const char handle_name[] = "kadenza.PolicyHost";

enum {
  TYPES_MAX = 62,
  METHODS_MAX = 256
};

/* The memory of a handle. */
struct handle {
  struct kad_host *host; /* NULL once closed */
};

/* ------------------------------------------------------------------ ending --
 */

static void drop_host(struct kad_host *host) {
  const struct kad_allocator heap = kad_allocator_default();
  if (--host->users > 0) {
    return;
  }
  kad_lua_link_release(host->node);
  (void)heap.resize(heap.state, host->hooks,
                    host->hook_count * sizeof *host->hooks, 0);
  (void)heap.resize(heap.state, host->types,
                    host->type_count * sizeof *host->types, 0);
  (void)heap.resize(heap.state, host, sizeof *host, 0);
}

static void release(void *state) {
  drop_host(state);
}

static void abandon(void *state, uint64_t ticket) {
  kad_hook_abandon(state, ticket);
}

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
    drop_host(host);
  }
}

static int handle_close(lua_State *L) {
  close_handle(L, luaL_checkudata(L, 1, handle_name));
  return 0;
}

/* -------------------------------------------------------------- installing --
 */

/* Places in kad_lua_type. */
enum {
  VALIDATE,
  MERGE,
  SELECT,
  EXPIRE,
  REPUBLISH,
  STORED,
  DROPPED
};

static const struct {
  const char *name; /* as scripts have it */
  enum kad_hook_kind kind;
} type_hooks[KAD_TYPE_HOOKS] = {
    [VALIDATE] = {"validate", KAD_HOOK_VALIDATE},
    [MERGE] = {"merge", KAD_HOOK_MERGE},
    [SELECT] = {"select", KAD_HOOK_SELECT},
    [EXPIRE] = {"expire", KAD_HOOK_EXPIRE},
    [REPUBLISH] = {"republish", KAD_HOOK_REPUBLISH},
    [STORED] = {"on_store", KAD_HOOK_TOLD},
    [DROPPED] = {"on_expire", KAD_HOOK_TOLD},
};

/* Reads the integer field `name` of the table at the top, 0 if it is not there.
 * [-0, +0, m] */
static uint32_t field_number(lua_State *L, const char *name) {
  lua_Integer value = 0;
  (void)kad_lua_field_integer(L, lua_gettop(L), name, 0, UINT32_MAX, &value);
  return (uint32_t)value;
}

/* Returns the hook whose number is the field `name` of the table at the top,
 * set up as `kind`; NULL if there is none. [-0, +0, m] */
static struct kad_lua_hook *field_hook(lua_State *L, struct kad_host *host,
                                       const char *name,
                                       enum kad_hook_kind kind) {
  const uint32_t number = field_number(L, name);
  if (number == 0 || number > host->hook_count) {
    return NULL;
  }
  struct kad_lua_hook *const hook = &host->hooks[number - 1];
  hook->kind = kind;
  return hook;
}

static void ask(void *state, size_t place, const struct kad_question *question,
                struct kad_answer *answer) {
  const struct kad_lua_type *const type = state;
  kad_hook_answer(type->hooks[place], question, answer);
}

static void ask_validate(void *state, const struct kad_question *question,
                         struct kad_answer *answer) {
  ask(state, VALIDATE, question, answer);
}

static void ask_merge(void *state, const struct kad_question *question,
                      struct kad_answer *answer) {
  ask(state, MERGE, question, answer);
}

static void ask_select(void *state, const struct kad_question *question,
                       struct kad_answer *answer) {
  ask(state, SELECT, question, answer);
}

static void ask_expire(void *state, const struct kad_question *question,
                       struct kad_answer *answer) {
  ask(state, EXPIRE, question, answer);
}

static void ask_republish(void *state, const struct kad_question *question,
                          struct kad_answer *answer) {
  ask(state, REPUBLISH, question, answer);
}

static void tell_stored(void *state, const struct kad_question *question,
                        struct kad_answer *answer) {
  ask(state, STORED, question, answer);
}

static void tell_dropped(void *state, const struct kad_question *question,
                         struct kad_answer *answer) {
  ask(state, DROPPED, question, answer);
}

static void ask_request(void *state, const struct kad_question *question,
                        struct kad_answer *answer) {
  const struct kad_host *const host = state;
  kad_hook_answer(host->on_request, question, answer);
}

static void ask_contact(void *state, const struct kad_question *question,
                        struct kad_answer *answer) {
  const struct kad_host *const host = state;
  kad_hook_answer(host->on_contact, question, answer);
}

/* A hook that no script has stays NULL. */
static void fill_hooks(const struct kad_lua_type *hooks,
                       struct kad_type *type) {
  type->validate = hooks->hooks[VALIDATE] != NULL ? ask_validate : NULL;
  type->merge = hooks->hooks[MERGE] != NULL ? ask_merge : NULL;
  type->select = hooks->hooks[SELECT] != NULL ? ask_select : NULL;
  type->expire = hooks->hooks[EXPIRE] != NULL ? ask_expire : NULL;
  type->republish_at = hooks->hooks[REPUBLISH] != NULL ? ask_republish : NULL;
  type->stored = hooks->hooks[STORED] != NULL ? tell_stored : NULL;
  type->dropped = hooks->hooks[DROPPED] != NULL ? tell_dropped : NULL;
}

/* Reads the type in the table at the top. Its name lives as long as that.
 * [-0, +0, m] */
static void read_type(lua_State *L, struct kad_host *host,
                      struct kad_lua_type *hooks, struct kad_type *type) {
  for (size_t i = 0; i < KAD_TYPE_HOOKS; i++) {
    hooks->hooks[i] =
        field_hook(L, host, type_hooks[i].name, type_hooks[i].kind);
  }
  lua_getfield(L, -1, "name");
  *type = (struct kad_type){.name = lua_tostring(L, -1), .state = hooks};
  lua_pop(L, 1);
  type->max_size = field_number(L, "max_size");
  type->max_values = field_number(L, "max_values");
  type->ttl = field_number(L, "ttl");
  type->republish = field_number(L, "republish_s");
  (void)kad_lua_field_boolean(L, lua_gettop(L), "signed_only",
                              &type->signed_only);
  fill_hooks(hooks, type);
}

/* What a set-up table is turned into. The arrays are userdata on the stack. */
struct installation {
  struct kad_host *host;
  struct kad_policy policy;
  int error; /* 0 or KAD_E… */
};

/* Reads the list `types` of the set-up at 2. [-0, +1, m] */
static void read_types(lua_State *L, struct installation *installation) {
  struct kad_host *const host = installation->host;
  struct kad_type *const types =
      lua_newuserdatauv(L, TYPES_MAX * sizeof *types, 0);
  lua_getfield(L, 2, "types");
  for (size_t i = 0; i < host->type_count; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    read_type(L, host, &host->types[i], &types[i]);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  installation->policy.types = types;
  installation->policy.type_count = host->type_count;
}

/* Reads the list `methods` of the set-up at 2. [-0, +1, m] */
static void read_methods(lua_State *L, struct installation *installation) {
  struct kad_method *const methods =
      lua_newuserdatauv(L, METHODS_MAX * sizeof *methods, 0);
  lua_getfield(L, 2, "methods");
  const size_t count = (size_t)lua_rawlen(L, -1);
  for (size_t i = 0; i < count && i < METHODS_MAX; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    lua_getfield(L, -1, "name");
    methods[i].name = lua_tostring(L, -1);
    lua_pop(L, 1);
    methods[i].call = kad_hook_answer;
    methods[i].state = field_hook(L, installation->host, "call", KAD_HOOK_RPC);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  installation->policy.methods = methods;
  installation->policy.method_count = count;
}

/* Makes the arrays of hooks and types. Returns 0 or KAD_ENOMEM. */
static int make_arrays(struct kad_host *host, size_t hooks, size_t types) {
  const struct kad_allocator heap = kad_allocator_default();
  if (types > TYPES_MAX) {
    return KAD_EINVAL;
  }
  if (hooks > 0) {
    host->hooks = heap.resize(heap.state, NULL, 0, hooks * sizeof *host->hooks);
    if (host->hooks == NULL) {
      return KAD_ENOMEM;
    }
    memset(host->hooks, 0, hooks * sizeof *host->hooks);
    host->hook_count = hooks;
  }
  if (types > 0) {
    host->types = heap.resize(heap.state, NULL, 0, types * sizeof *host->types);
    if (host->types == NULL) {
      return KAD_ENOMEM;
    }
    host->type_count = types;
  }
  return 0;
}

/* Names the hooks, from the list `names` of the set-up at 2. [-0, +0, m] */
static void name_hooks(lua_State *L, struct kad_host *host) {
  lua_getfield(L, 2, "names");
  for (size_t i = 0; i < host->hook_count; i++) {
    struct kad_lua_hook *const hook = &host->hooks[i];
    hook->host = host;
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    const char *const name = lua_tostring(L, -1);
    strncpy(hook->name, name != NULL ? name : "?", sizeof hook->name - 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static size_t field_count(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  const size_t count = lua_istable(L, -1) ? (size_t)lua_rawlen(L, -1) : 0;
  lua_pop(L, 1);
  return count;
}

/* Installs the set-up table at 2; the argument is a struct installation.
 * [-0, +0, e] */
static void install(lua_State *L, struct installation *installation) {
  struct kad_host *const host = installation->host;
  luaL_checkstack(L, 20, NULL);
  installation->error =
      make_arrays(host, field_count(L, "hooks"), field_count(L, "types"));
  if (installation->error != 0) {
    return;
  }
  name_hooks(L, host);
  kad_hook_set_up(L, host, 2);
  read_types(L, installation);
  read_methods(L, installation);
  lua_pushvalue(L, 2);
  host->on_request = field_hook(L, host, "on_request", KAD_HOOK_REQUEST);
  host->on_contact = field_hook(L, host, "on_contact", KAD_HOOK_CONTACT);
  host->deadline_ms = field_number(L, "deadline_ms");
  installation->policy.deadline_ms = host->deadline_ms;
  installation->policy.state = host;
  installation->policy.on_request =
      host->on_request != NULL ? ask_request : NULL;
  installation->policy.on_contact =
      host->on_contact != NULL ? ask_contact : NULL;
  installation->policy.abandon = abandon;
  installation->policy.release = release;
  host->users++;
  installation->error =
      kad_node_set_policy(host->node->node, &installation->policy);
  host->users -= installation->error != 0;
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
  struct installation installation = {.host = host};
  host->L = kad_lua_context(L)->main;
  host->meter = kad_meter_of(L);
  install(L, &installation);
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
  struct installation installation;
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
  install(L, &loading->installation);
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
  const char *const text = lua_tostring(vm, -1);
  lua_pushstring(L, text != NULL ? text : "out of memory");
  lua_pop(vm, 1);
  lua_pushliteral(L, "KAD_EINVAL");
  return 3;
}

/* policy_vm(node, network, paths, sources, memory bytes, log) → handle, or nil,
 * message, code. Loads files into a VM of their own. */
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
  luaL_checktype(L, 6, LUA_TFUNCTION);
  lua_settop(L, 6);
  struct kad_host *const host = push_host(L, 1);
  if (host == NULL) {
    return kad_lua_push_error(L, KAD_ENOMEM);
  }
  lua_pushvalue(L, 6);
  lua_rawsetp(L, LUA_REGISTRYINDEX, host);
  host->memory_limit = (size_t)memory;
  const int error = kad_vm_new(L, 4, host);
  if (error != 0) {
    return kad_lua_push_error(L, error);
  }
  loading.installation.host = host;
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
  close_handle(L, lua_touserdata(L, 7));
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
