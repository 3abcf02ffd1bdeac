/* publication.h: changes of the publications of a node. */
#ifndef KAD_LUA_PUBLICATION_H
#define KAD_LUA_PUBLICATION_H

#include <lauxlib.h>

/* Methods of a node; owning handles only. */
extern const luaL_Reg kad_lua_publication_methods[];

#endif
