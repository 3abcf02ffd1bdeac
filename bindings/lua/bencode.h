/* bencode.h: converts between Lua values and bencode (BEP 3): integers,
 * strings, lists and dictionaries. */
#ifndef KAD_LUA_BENCODE_H
#define KAD_LUA_BENCODE_H

#include "kadenza.h"

#include <lua.h>

/* Encodes the value at `index`, and pushes the encoding as a string. With
 * `dictionary` the value must be a table with string keys for a dictionary of a
 * message, which takes one level of the depth; an empty table is a dictionary
 * then, else it is a list. Errors name the place in the value, such as
 * `args.list[3]`, where `root` is "args". [-0, +1, v] */
void kad_lua_bencode_encode(lua_State *L, int index, const char *root,
                            bool dictionary);

/* Pushes the value that `in` encodes and returns 0, or pushes nothing and
 * returns KAD_EMALFORMED. [-0, +0|1, m] */
int kad_lua_bencode_decode(lua_State *L, struct kad_slice in);

/* Returns how many tables the value that `in` encodes makes: two bytes may make
 * a table of 56. 0 if `in` is malformed. */
size_t kad_lua_bencode_tables(struct kad_slice in);

#endif
