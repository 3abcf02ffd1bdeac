/* field.h: fields of Lua tables. */
#ifndef KAD_LUA_FIELD_H
#define KAD_LUA_FIELD_H

#include "kadenza.h"

#include <lua.h>

/* The readers read the field `name` of the table at `index`, without
 * metamethods. If it is nil they return false and leave `*value` as it is. They
 * raise an error that names the field if its type or range is another. */

/* Pushes a field of any type. [-0, +0|1, m] */
bool kad_lua_push_field(lua_State *L, int index, const char *name);

/* Reads an integer in `min` … `max`. [-0, +0, v] */
bool kad_lua_field_integer(lua_State *L, int index, const char *name,
                           lua_Integer min, lua_Integer max,
                           lua_Integer *value);

/* Reads an unsigned integer in `min` … `max`. [-0, +0, v] */
bool kad_lua_field_uint32(lua_State *L, int index, const char *name,
                          uint32_t min, uint32_t max, uint32_t *value);

/* Reads a boolean. [-0, +0, v] */
bool kad_lua_field_boolean(lua_State *L, int index, const char *name,
                           bool *value);

/* Borrows a string of `min` … `max` bytes from the field. [-0, +0, v] */
bool kad_lua_field_string(lua_State *L, int index, const char *name, size_t min,
                          size_t max, struct kad_slice *value);

/* Reads a binary id of `bits` (160 or 256). [-0, +0, v] */
bool kad_lua_field_id(lua_State *L, int index, const char *name, unsigned bits,
                      struct kad_id *id);

/* Sets the field `name` of the table at the top to an integer, a float, a
 * boolean, a string, or a string of bytes. [-0, +0, m] */
void kad_lua_set_integer(lua_State *L, const char *name, lua_Integer value);
void kad_lua_set_number(lua_State *L, const char *name, lua_Number value);
void kad_lua_set_boolean(lua_State *L, const char *name, bool value);
void kad_lua_set_string(lua_State *L, const char *name, const char *value);
void kad_lua_set_slice(lua_State *L, const char *name, struct kad_slice value);

#endif
