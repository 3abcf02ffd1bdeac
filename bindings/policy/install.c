#include "policy/install.h"

#include "kadenza_network_key.h"
#include "lua/field.h"
#include "policy/codec.h"
#include "policy/hook.h"
#include "policy/metered.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
  TYPES_MAX = 64, /* with the built-in ones */
  METHODS_MAX = 256
};

/* ---------------------------------------------- callbacks of the core -- */

static void release_host(void *state) {
  kad_host_release(state);
}

static void cancel_call(void *state, uint64_t call_id) {
  kad_hook_pending_cancel(state, call_id);
}

/* Returns true if the scripts have used up their share of the turn: a hook that
 * is called now is preempted soon, and ends after all that were before. */
static bool have_had_share(void *state) {
  const struct kad_host *const host = state;
  kad_host_begin_turn(host);
  return host->meter->spent >= host->meter->share;
}

/* The hooks of a record type: member of both structs, name in scripts, kind. */
#define TYPE_HOOK_MAP(X)                  \
  X(validate, "validate", VALIDATE)       \
  X(merge, "merge", MERGE)                \
  X(select, "select", SELECT)             \
  X(expire, "expire", EXPIRE)             \
  X(republish_at, "republish", REPUBLISH) \
  X(stored, "on_store", NOTICE)           \
  X(dropped, "on_expire", NOTICE)

/* Defines a kad_hook_fn that runs the hook `member` of its state. */
#define RUN_HOOK(owner, member)                                           \
  static void run_##member(void *state, const struct kad_hook_call *call, \
                           struct kad_hook_result *result) {              \
    const struct owner *const hooks = state;                              \
    kad_hook_run(hooks->member, call, result);                            \
  }
#define RUN_TYPE_HOOK(member, name, kind) RUN_HOOK(kad_host_type, member)
TYPE_HOOK_MAP(RUN_TYPE_HOOK)
RUN_HOOK(kad_host, on_request)
RUN_HOOK(kad_host, on_contact)
#undef RUN_TYPE_HOOK
#undef RUN_HOOK

/* ------------------------------------------------ reading of the set-up -- */

/* Returns the integer `name` of the table at the top, or 0. [-0, +0, m] */
static uint32_t field_number(lua_State *L, const char *name) {
  uint32_t value = 0;
  (void)kad_lua_field_uint32(L, -1, name, 0, UINT32_MAX, &value);
  return value;
}

/* Reads the type in the table at the top, which owns its name. A hook that no
 * script defines stays NULL: the core does not call it. [-0, +0, m] */
static void read_type(lua_State *L, struct kad_host *host,
                      struct kad_host_type *hooks, struct kad_type *type) {
  lua_getfield(L, -1, "name");
  *type = (struct kad_type){.name = lua_tostring(L, -1), .state = hooks};
  lua_pop(L, 1);
  type->max_size = field_number(L, "max_size");
  type->max_values = field_number(L, "max_values");
  type->ttl = field_number(L, "ttl");
  type->republish = field_number(L, "republish_s");
  (void)kad_lua_field_boolean(L, lua_gettop(L), "signed_only",
                              &type->signed_only);
#define READ_HOOK(member, name, kind)                                     \
  hooks->member = kad_hook_of_field(L, host, name, KAD_HOOK_KIND_##kind); \
  type->member = hooks->member != NULL ? run_##member : NULL;
  TYPE_HOOK_MAP(READ_HOOK)
#undef READ_HOOK
}

/* Reads the list `types` of the set-up at 2. [-0, +1, m] */
static void read_types(lua_State *L, struct kad_installation *installation) {
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
static void read_methods(lua_State *L, struct kad_installation *installation) {
  struct kad_method *const methods =
      lua_newuserdatauv(L, METHODS_MAX * sizeof *methods, 0);
  lua_getfield(L, 2, "methods");
  const size_t count = (size_t)lua_rawlen(L, -1);
  for (size_t i = 0; i < count && i < METHODS_MAX; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    lua_getfield(L, -1, "name");
    methods[i].name = lua_tostring(L, -1);
    lua_pop(L, 1);
    methods[i].call = kad_hook_run;
    methods[i].state =
        kad_hook_of_field(L, installation->host, "call", KAD_HOOK_KIND_RPC);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  installation->policy.methods = methods;
  installation->policy.method_count = count;
}

/* Sets up the hooks of the list `http` of the set-up at 2. The core does not
 * know them: the program calls them. [-0, +0, m] */
static void read_routes(lua_State *L, struct kad_host *host) {
  lua_getfield(L, 2, "http");
  const lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    (void)kad_hook_of_field(L, host, "call", KAD_HOOK_KIND_HTTP);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Allocates the arrays of hooks and types. Returns 0, or
 *   KAD_EINVAL  there are too many types
 *   KAD_ENOMEM  out of memory */
static int allocate_arrays(struct kad_host *host, size_t hooks, size_t types) {
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

/* Pops a function and returns how many arguments it takes. [-1, +0, -] */
static int count_arguments(lua_State *L) {
  lua_Debug function;
  lua_getinfo(L, ">u", &function);
  return function.isvararg ? INT_MAX : function.nparams;
}

/* Fills the array of hooks from the lists `names`, `deadlines` and `hooks` of
 * the set-up at 2. [-0, +0, v] */
static void read_hooks(lua_State *L, struct kad_host *host) {
  lua_getfield(L, 2, "names");
  lua_getfield(L, 2, "deadlines");
  lua_getfield(L, 2, "hooks");
  for (size_t i = 0; i < host->hook_count; i++) {
    struct kad_hook *const hook = &host->hooks[i];
    hook->host = host;
    lua_rawgeti(L, -3, (lua_Integer)i + 1);
    const char *const name = lua_tostring(L, -1);
    strncpy(hook->name, name != NULL ? name : "?", sizeof hook->name - 1);
    lua_pop(L, 1);
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    const lua_Integer deadline_ms = lua_tointeger(L, -1);
    hook->deadline_ms =
        deadline_ms > 0 ? (uint32_t)deadline_ms : KAD_HOOK_DEADLINE_MS;
    lua_pop(L, 1);
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TFUNCTION);
    hook->arguments = count_arguments(L);
  }
  lua_pop(L, 3);
}

/* Returns the length of the list `name` of the set-up at 2. [-0, +0, m] */
static size_t list_length(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  const size_t count = lua_istable(L, -1) ? (size_t)lua_rawlen(L, -1) : 0;
  lua_pop(L, 1);
  return count;
}

/* Adds functions of C to the set-up at 2, which the host keeps. [-0, +0, m] */
static void register_setup(lua_State *L, struct kad_host *host) {
  static const luaL_Reg functions[] = {
      {"ended", kad_hook_pending_ended},
      {"problem", kad_hook_pending_problem},
      {NULL, NULL},
  };
  host->views = kad_views_of(L);
  lua_pushvalue(L, 2);
  luaL_setfuncs(L, functions, 0);
  kad_metered_add_functions(L);
  lua_getfield(L, -1, "node");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->keys.node);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->keys.setup);
}

/* Names the type whose values fit in no message of the node. */
static void explain_size(struct kad_installation *installation) {
  const struct kad_node *const node = installation->host->link->node;
  const struct kad_policy *const policy = &installation->policy;
  const uint32_t room = (uint32_t)kad_node_value_room(node);
  for (size_t i = 0; i < policy->type_count; i++) {
    const struct kad_type *const type = &policy->types[i];
    if (type->max_size > room) {
      const uint32_t max_reply = kad_node_config(node)->max_reply;
      (void)snprintf(installation->problem, sizeof installation->problem,
                     "type '%s': max_size is %" PRIu32
                     ", which needs a max_reply of %" PRIu32
                     ": the node has %" PRIu32,
                     type->name, type->max_size,
                     max_reply + type->max_size - room, max_reply);
      return;
    }
  }
}

void kad_policy_install(lua_State *L, struct kad_installation *installation) {
  struct kad_host *const host = installation->host;
  struct kad_policy *const policy = &installation->policy;
  luaL_checkstack(L, 20, NULL);
  installation->error =
      allocate_arrays(host, list_length(L, "hooks"), list_length(L, "types"));
  if (installation->error != 0) {
    return;
  }
  read_hooks(L, host);
  register_setup(L, host);
  read_types(L, installation);
  read_methods(L, installation);
  read_routes(L, host);
  lua_pushvalue(L, 2);
  host->on_request =
      kad_hook_of_field(L, host, "on_request", KAD_HOOK_KIND_REQUEST);
  host->on_contact =
      kad_hook_of_field(L, host, "on_contact", KAD_HOOK_KIND_CONTACT);
  policy->deadline_ms = field_number(L, "deadline_ms");
  policy->codec = kad_policy_codec_set_up(L, host);
  policy->state = host;
  policy->on_request = host->on_request != NULL ? run_on_request : NULL;
  policy->on_contact = host->on_contact != NULL ? run_on_contact : NULL;
  policy->abandon = cancel_call;
  policy->is_busy = have_had_share;
  policy->release = release_host;
  host->users++;
  installation->error = kad_node_set_policy(host->link->node, policy);
  host->users -= installation->error != 0;
  if (installation->error == KAD_ETOOBIG) {
    explain_size(installation);
  }
}
