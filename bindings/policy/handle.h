/* handle.h: the functions of kadenza.core that make and install policies. */
#ifndef KAD_POLICY_HANDLE_H
#define KAD_POLICY_HANDLE_H

#include <lua.h>

/* Adds policy_host, policy_vm, policy_swap to the top table. [-0, +0, m] */
void kad_handle_add_functions(lua_State *L);

#endif
