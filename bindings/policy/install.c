/* install.c: reads what the Lua side of a host has composed, and gives it to
 * the node as a policy of the core. */
#include "lua/link.h"
#include "policy/codec.h"

#include <limits.h>
#include <string.h>

enum {
  TYPES_MAX = 64, /* with the built-in ones */
  METHODS_MAX = 256
};

void kad_host_drop(struct kad_host *host) {
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
  kad_host_drop(state);
}

static void abandon(void *state, uint64_t call_id) {
  kad_hook_abandon(state, call_id);
}

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

static void ask(void *state, size_t place, const struct kad_hook_call *call,
                struct kad_hook_result *answer) {
  const struct kad_lua_type *const type = state;
  kad_hook_complete(type->hooks[place], call, answer);
}

static void ask_validate(void *state, const struct kad_hook_call *call,
                         struct kad_hook_result *answer) {
  ask(state, VALIDATE, call, answer);
}

static void ask_merge(void *state, const struct kad_hook_call *call,
                      struct kad_hook_result *answer) {
  ask(state, MERGE, call, answer);
}

static void ask_select(void *state, const struct kad_hook_call *call,
                       struct kad_hook_result *answer) {
  ask(state, SELECT, call, answer);
}

static void ask_expire(void *state, const struct kad_hook_call *call,
                       struct kad_hook_result *answer) {
  ask(state, EXPIRE, call, answer);
}

static void ask_republish(void *state, const struct kad_hook_call *call,
                          struct kad_hook_result *answer) {
  ask(state, REPUBLISH, call, answer);
}

static void tell_stored(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  ask(state, STORED, call, answer);
}

static void tell_dropped(void *state, const struct kad_hook_call *call,
                         struct kad_hook_result *answer) {
  ask(state, DROPPED, call, answer);
}

static void ask_request(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  const struct kad_host *const host = state;
  kad_hook_complete(host->on_request, call, answer);
}

static void ask_contact(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  const struct kad_host *const host = state;
  kad_hook_complete(host->on_contact, call, answer);
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
    methods[i].call = kad_hook_complete;
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

/* Returns how many arguments the function at the top takes. [-1, +0, -] */
static int count_arguments(lua_State *L) {
  lua_Debug function;
  lua_getinfo(L, ">u", &function);
  return function.isvararg ? INT_MAX : function.nparams;
}

/* Fills in the hooks, from the lists `names`, `deadlines` and `hooks` of the
 * set-up at 2. [-0, +0, m] */
static void describe_hooks(lua_State *L, struct kad_host *host) {
  lua_getfield(L, 2, "names");
  lua_getfield(L, 2, "deadlines");
  lua_getfield(L, 2, "hooks");
  for (size_t i = 0; i < host->hook_count; i++) {
    struct kad_lua_hook *const hook = &host->hooks[i];
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

static size_t field_count(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  const size_t count = lua_istable(L, -1) ? (size_t)lua_rawlen(L, -1) : 0;
  lua_pop(L, 1);
  return count;
}

/* Leaves the arrays that the core's policy borrows on the stack. */
void kad_policy_install(lua_State *L, struct kad_installation *installation) {
  struct kad_host *const host = installation->host;
  luaL_checkstack(L, 20, NULL);
  installation->error =
      make_arrays(host, field_count(L, "hooks"), field_count(L, "types"));
  if (installation->error != 0) {
    return;
  }
  describe_hooks(L, host);
  kad_hook_set_up(L, host, 2);
  read_types(L, installation);
  read_methods(L, installation);
  lua_pushvalue(L, 2);
  host->on_request = field_hook(L, host, "on_request", KAD_HOOK_REQUEST);
  host->on_contact = field_hook(L, host, "on_contact", KAD_HOOK_CONTACT);
  installation->policy.deadline_ms = field_number(L, "deadline_ms");
  installation->policy.codec = kad_lua_codec_set_up(L, host);
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
