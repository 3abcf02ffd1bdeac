/* Reads the files of a state folder, scripts/kadenza/saved.lua, and publishes
 * the records. The first byte of the input chooses the file. Whatever is
 * accepted must be in its bounds and read the same when it is written again. */
#include "lua/module.h"
#include "target.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdio.h>

static const char script[] =
    "local core = require('kadenza.core')\n"
    "local saved = require('kadenza.saved')\n"
    "local NOW = { wall = 1796000000, boot = 5000, boot_id = 'a' }\n"
    "local net = core.sim({ seed = 1 })\n"
    "local node = net:open_node({}, { '198.51.100.1:5000' })\n"
    "local function read_node(bytes)\n"
    "  local state = saved.read_node(bytes)\n"
    "  if not state then return end\n"
    "  assert(#state.id == 20 or #state.id == 32)\n"
    "  assert(#state.contacts <= 200)\n"
    "  local again = assert(saved.read_node(\n"
    "    saved.write_node(state.id, state.contacts)))\n"
    "  assert(again.id == state.id and again.damage.count == 0)\n"
    "  assert(#again.contacts == #state.contacts)\n"
    "end\n"
    "local function read_publications(bytes)\n"
    "  local kept = saved.read_publications(bytes, NOW.wall, NOW)\n"
    "  if not kept then return end\n"
    "  for _, record in ipairs(kept.records) do\n"
    "    assert(not record.ttl or record.ttl > 0 and\n"
    "      record.ttl <= 0xffffffff)\n"
    "    if pcall(node.publish, node, record, 1) then\n"
    "      node:unpublish(record.key, record.type)\n"
    "    end\n"
    "  end\n"
    "  local again = assert(saved.read_publications(\n"
    "    saved.write_publications(kept.records, NOW), 0, NOW))\n"
    "  assert(again.damage.count == 0)\n"
    "  assert(#again.records == #kept.records)\n"
    "  for i, record in ipairs(again.records) do\n"
    "    for name, value in pairs(kept.records[i]) do\n"
    "      assert(record[name] == value)\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return function(bytes)\n"
    "  local read = bytes:byte() == 0 and read_node or read_publications\n"
    "  read(bytes:sub(2))\n"
    "end\n";

/* Aborts with the error at the top unless `status` is LUA_OK. */
static void check_call(lua_State *L, int status) {
  if (status != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
  }
}

/* Returns a Lua state with the script's function at the bottom. */
static lua_State *new_state(void) {
  lua_State *const L = luaL_newstate();
  CHECK(L != NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "kadenza.core", luaopen_kadenza_core, 0);
  lua_settop(L, 0);
  check_call(L, luaL_dostring(L, "package.path = 'scripts/?.lua'"));
  check_call(L, luaL_loadstring(L, script));
  check_call(L, lua_pcall(L, 0, 1, 0));
  return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (size == 0) {
    return 0;
  }
  if (L == NULL) {
    L = new_state();
  }
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  check_call(L, lua_pcall(L, 1, 0, 0));
  return 0;
}
