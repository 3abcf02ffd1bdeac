/* verdict.h: reads what hooks return: checks its type, then value and range. */
#ifndef KAD_POLICY_VERDICT_H
#define KAD_POLICY_VERDICT_H

#include "policy/runner.h"

/* Reads the `count` values at the top of `L`, which the hook of `runner` has
 * returned, into `runner->result`. The values, and others that the
 * result borrows, are left there. Returns a LUA_… status; after an error, only
 * the error value is left. [-count, +n, -] */
int kad_verdict_read(lua_State *L, struct kad_runner *runner, int count);

#endif
