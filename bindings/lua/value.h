/* value.h: pushes values of the core. */
#ifndef KAD_LUA_VALUE_H
#define KAD_LUA_VALUE_H

#include "kadenza.h"

#include <lua.h>

/* Pushes bytes as a string. [-0, +1, m] */
void kad_lua_push_slice(lua_State *L, struct kad_slice slice);

/* Pushes an id of `bits` as a binary string. [-0, +1, m] */
void kad_lua_push_id(lua_State *L, const struct kad_id *id, unsigned bits);

/* Pushes an address as text; nil if its family is 0. [-0, +1, m] */
void kad_lua_push_address(lua_State *L, const struct kad_address *address);

/* Pushes addresses as a list. [-0, +1, m] */
void kad_lua_push_addresses(lua_State *L, const struct kad_address *addresses,
                            size_t count);

/* Pushes a contact as a table: id (nil if all bits are zero), address
 * ("ip:port"), host and port. [-0, +1, m] */
void kad_lua_push_contact(lua_State *L, const struct kad_contact *contact,
                          unsigned bits);

/* Returns the length of the longest start of a text that has at most `max`
 * bytes and ends with a whole character of UTF-8. */
size_t kad_lua_cut_text(const char *text, size_t len, size_t max);

#endif
