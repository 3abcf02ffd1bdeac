/* config.h: the configuration of a node. */
#ifndef KAD_LUA_CONFIG_H
#define KAD_LUA_CONFIG_H

#include "kadenza_option.h"

#include <lua.h>

/* Reads argument `arg`, a table or nil. Its fields are the options of
 * KAD_CONFIG_MAP, and id, id_bits and version. Fields that are nil have their
 * defaults. [-0, +0, v] */
void kad_lua_config_check(lua_State *L, int arg, struct kad_config *config);

/* config_options() → list of tables with the fields of struct kad_option: name,
 * type ("boolean" or "integer"), default, min, max, unit, text. [-0, +1, m] */
int kad_lua_config_options(lua_State *L);

#endif
