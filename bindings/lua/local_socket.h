/* local_socket.h: sockets in the file system, between processes of one machine
 * (AF_UNIX). None of their functions but `wait` waits. */
#ifndef KAD_LUA_LOCAL_SOCKET_H
#define KAD_LUA_LOCAL_SOCKET_H

#include <lua.h>

/* Adds listen_local, connect_local and is_local_socket to the module at the top
 * of the stack. [-0, +0, m] */
void kad_lua_add_local_socket(lua_State *L);

#endif
