/* hook_arguments.h: what a hook is called with. */
#ifndef KAD_POLICY_HOOK_ARGUMENTS_H
#define KAD_POLICY_HOOK_ARGUMENTS_H

#include "policy/runner.h"

/* Pushes the arguments of the hook on its runner's stack, the context last if
 * the function takes it. Returns their number, or -1 when memory ends.
 * [-0, +n, -] */
int kad_hook_arguments_push(lua_State *L, struct kad_runner *runner);

#endif
