/* interrupt.h: Ctrl-C, for programs that ask for it at times, such as a
 * simulation, which receives no signals. Only the first SIGINT is caught: the
 * second ends a process that does not ask, because a script loops. Sandboxed
 * policies do not have this. */
#ifndef KAD_LUA_INTERRUPT_H
#define KAD_LUA_INTERRUPT_H

#include <lua.h>

/* Adds catch_interrupt, was_interrupted to the top table. [-0, +0, m] */
void kad_lua_add_interrupt(lua_State *L);

#endif
