/* service_manager.h: messages to the service manager that has started the
 * process (sd_notify(3)), and its journal.
 *
 * Tested by tests/spec/cli/service_manager_spec.lua,
 * tests/spec/cli/journal_spec.lua. */
#ifndef KAD_LUA_SERVICE_MANAGER_H
#define KAD_LUA_SERVICE_MANAGER_H

#include <lua.h>

/* Adds functions to the table at the top. [-0, +0, m] */
void kad_lua_add_service_manager(lua_State *L);

#endif
