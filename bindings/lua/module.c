#include "lua/module.h"

#include "lua/base64.h"
#include "lua/boot.h"
#include "lua/context.h"
#include "lua/counters.h"
#include "lua/durable.h"
#include "lua/file.h"
#include "lua/inherited.h"
#include "lua/interrupt.h"
#include "lua/journal.h"
#include "lua/loader.h"
#include "lua/local_socket.h"
#include "lua/lock.h"
#include "lua/network.h"
#include "lua/network_key.h"
#include "lua/passphrase.h"
#include "lua/process.h"
#include "lua/safe_module.h"
#include "lua/saved_file.h"
#include "lua/service_manager.h"
#include "lua/spawn.h"
#include "lua/terminal.h"
#include "lua/usage.h"
#include "lua/watchdog.h"
#include "policy/coroutine.h"
#include "policy/handle.h"
#include "policy/pattern.h"
#include "policy/resumption.h"

int luaopen_kadenza_core(lua_State *L) {
  luaL_checkversion(L);
  (void)kad_lua_context(L);
  kad_lua_push_safe_module(L);
  kad_lua_add_network(L);
  kad_lua_add_file(L);
  kad_lua_add_saved_file(L);
  kad_lua_add_lock(L);
  kad_lua_add_local_socket(L);
  kad_lua_add_journal(L);
  kad_lua_add_boot(L);
  kad_lua_add_base64(L);
  kad_lua_add_counters(L);
  kad_lua_add_loader(L);
  kad_lua_add_durable(L);
  kad_lua_add_service_manager(L);
  kad_lua_add_spawn(L);
  kad_lua_add_inherited(L);
  kad_lua_add_interrupt(L);
  kad_lua_add_network_key(L);
  kad_lua_add_passphrase(L);
  kad_lua_add_process(L);
  kad_lua_add_terminal(L);
  kad_lua_add_usage(L);
  kad_lua_add_watchdog(L);
  kad_handle_add_functions(L);
  kad_resumption_add_functions(L);
  kad_coroutine_push_lua_functions(L);
  lua_setfield(L, -2, "lua_coroutine");
  kad_coroutine_push_program_functions(L);
  lua_setfield(L, -2, "program_coroutine");
  kad_pattern_add_functions(L);
  lua_pushstring(L, kad_version());
  lua_setfield(L, -2, "version");
  return 1;
}
