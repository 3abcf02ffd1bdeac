/* result.h: results of operations. */
#ifndef KAD_LUA_RESULT_H
#define KAD_LUA_RESULT_H

#include "kadenza.h"

#include <lua.h>

/* Pushes `result` as a table if the operation succeeded; otherwise nil,
 * message, name of the code and the table, whose `krpc` is the KRPC code of the
 * other node. Returns the number of values. [-0, +1|4, m] */
int kad_lua_push_result(lua_State *L, const struct kad_result *result,
                        unsigned bits);

#endif
