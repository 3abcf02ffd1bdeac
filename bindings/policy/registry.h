/* registry.h: what the policy host keeps in the registries of Lua states.
 *
 * A key is the address of a char. The keys below hold one value in each state.
 * Those of struct kad_host_keys hold one value for each host. Two more are
 * members of what they belong to: `thread_key` of a runner holds its coroutine,
 * `anchor_key` of a view the view while it has no place in its ring. */
#ifndef KAD_POLICY_REGISTRY_H
#define KAD_POLICY_REGISTRY_H

#include <lua.h>

/* One value in each state. */
struct kad_policy_keys {
  char meter;              /* userdata: struct kad_meter */
  char views;              /* userdata: struct kad_views */
  char view_metatables[3]; /* tables: of the views of each kad_view_kind */
  char script_coroutines; /* table: coroutine that a script has made → true */
  char waiting_coroutines; /* table: coroutine that waits for the scheduler →
                              the one through which it waits, or true */
  char lua_coroutine;      /* table: Lua's own library, in programs */
  char module_sources;     /* table: module → text or compiled code; in VMs */
};

extern const struct kad_policy_keys kad_policy_keys;

/* Pushes the table with weak keys that `key` holds; makes it if there is none.
 * [-0, +1, m] */
void kad_policy_push_weak_table(lua_State *L, const char *key);

/* One value for each host. */
struct kad_host_keys {
  char setup;        /* table: the set-up; in the host's state */
  char node;         /* userdata: `ctx.node` of scripts; in the host's state */
  char text;         /* string: what a protected function leaves for the C
                        function that runs it; in the host's state */
  char log;          /* function: the log; in the parent of a VM */
  char probe_result; /* table: the result of a pending probe; in the parent */
  char answer;       /* function: takes answers; in the parent */
};

#endif
