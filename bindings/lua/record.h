/* record.h: records as tables. */
#ifndef KAD_LUA_RECORD_H
#define KAD_LUA_RECORD_H

#include "kadenza.h"

#include <lua.h>

/* Pushes a record as a table: key, type, value, age (seconds) and, where it has
 * them, salt, publisher, signature, seq and ttl. [-0, +1, m] */
void kad_lua_push_record(lua_State *L, const struct kad_record *record,
                         unsigned bits);

/* Pushes records as a list. [-0, +1, m] */
void kad_lua_push_records(lua_State *L, const struct kad_record *records,
                          size_t count, unsigned bits);

/* Reads the record table at `index`. `value` must be there; key, type, salt,
 * publisher, signature, seq and ttl may be; age and other fields are ignored.
 * Raises an error that names the field. Borrows the strings, as long as the
 * table keeps them. [-0, +0, v] */
void kad_lua_check_record(lua_State *L, int index, unsigned bits,
                          struct kad_record *record);

#endif
