/* pattern.h: Lua functions that match patterns, for kadenza.policy.pattern. */
#ifndef KAD_POLICY_PATTERN_H
#define KAD_POLICY_PATTERN_H

#include <lua.h>

/* Adds a field `pattern` to the table at the top: functions that take at most
 * about KAD_PATTERN_SLICE steps, which they charge to the entry that runs.
 * [-0, +0, m] */
void kad_pattern_add_functions(lua_State *L);

enum {
  KAD_PATTERN_SLICE = 10000 /* about 50 us */
};

#endif
