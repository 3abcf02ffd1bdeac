/* module.h: the Lua module kadenza.httpd, of the program only. */
#ifndef KAD_HTTP_MODULE_H
#define KAD_HTTP_MODULE_H

#include "kadenza.h"

#include <lua.h>

/* Pushes the table of the module. */
KAD_API int luaopen_kadenza_httpd(lua_State *L);

#endif
