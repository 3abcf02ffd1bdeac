/* error.h: failures that are returned to Lua: nil, message, code. */
#ifndef KAD_LUA_ERROR_H
#define KAD_LUA_ERROR_H

#include <lua.h>

/* Pushes nil, the text and the name of the KAD_E… code `error`. Returns 3.
 * [-0, +3, m] */
int kad_lua_push_error(lua_State *L, int error);

/* Does the same with a message of its own, which it pops. [-1, +3, m] */
int kad_lua_push_error_message(lua_State *L, int error);

/* Pushes nil, "object: call: text" and the name of `error`, for a system call
 * that failed with the errno `number`. Returns 3. [-0, +3, m] */
int kad_lua_push_system_failure(lua_State *L, int error, const char *object,
                                const char *call, int number);

/* Pushes true, or what kad_lua_push_error pushes if `error` is not 0. Returns
 * their number. [-0, +1|3, m] */
int kad_lua_push_outcome(lua_State *L, int error);

/* Returns the KAD_E… code for an errno. */
int kad_lua_error_of_errno(int number);

/* Pushes a table: the name of each KAD_E… code → its text. [-0, +1, m] */
void kad_lua_push_error_texts(lua_State *L);

#endif
