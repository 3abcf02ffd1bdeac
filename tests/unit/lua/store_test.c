/* A record store in Lua does what every store has to do. Tests
 * bindings/lua/store.c, bindings/lua/store_record.c, scripts/kadenza/store.lua.
 */
#include "engine/node.h"
#include "lua/handle.h"
#include "lua/module.h"
#include "store_conformance.h"
#include "unit.h"

#include <lauxlib.h>
#include <lualib.h>

/* Opens a node in virtual time with the store that `make` returns, and returns
 * its handle of the core. */
static const char open_node[] =
    "local core = require('kadenza.core')\n"
    "local store = require('kadenza.store')\n"
    "local network = assert(core.sim({}))\n"
    "local made = make()\n"
    "store.check(made, 1)\n"
    "local adapter = store.adapt(made, network)\n"
    "adapter.failed = function(call, message)\n"
    "  io.stderr:write(call, ': ', message, '\\n')\n"
    "end\n"
    "return assert(network:open_node({ id_bits = 256 },\n"
    "  { '20.0.0.1:6881' }, nil, adapter))\n";

static const char simple[] =
    "closed = 0\n"
    "function make()\n"
    "  local records, store = {}, {}\n"
    "  function store:put(number, record) records[number] = record end\n"
    "  function store:get(number) return records[number] end\n"
    "  function store:remove(number) records[number] = nil end\n"
    "  function store:close() closed = closed + 1 end\n"
    "  return store\n"
    "end\n";

/* A class, whose objects keep copies, and are touched. */
static const char class[] =
    "closed = 0\n"
    "local Store = {}\n"
    "Store.__index = Store\n"
    "local TIMES = { 'stored_at', 'expires_at', 'republish_at', 'origin',\n"
    "  'seed' }\n"
    "local function copy(record)\n"
    "  local copied = {}\n"
    "  for name, value in pairs(record) do copied[name] = value end\n"
    "  return copied\n"
    "end\n"
    "function Store:put(number, record)\n"
    "  self[number] = copy(record)\n"
    "  return true\n"
    "end\n"
    "function Store:get(number)\n"
    "  return self[number] and copy(self[number])\n"
    "end\n"
    "function Store:remove(number) self[number] = nil return true end\n"
    "function Store:touch(number, times)\n"
    "  for _, name in ipairs(TIMES) do\n"
    "    self[number][name] = times[name]\n"
    "  end\n"
    "  return true\n"
    "end\n"
    "function Store:close() closed = closed + 1 end\n"
    "function make() return setmetatable({}, Store) end\n";

static lua_State *L;

/* Runs a chunk, which leaves one value at 1. */
static void run(const char *chunk) {
  lua_settop(L, 0);
  if (luaL_loadstring(L, chunk) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
    fail_msg("%s", lua_tostring(L, -1));
  }
}

static void open_store(struct kad_memory_fixture *fixture, const char *kind) {
  L = luaL_newstate();
  assert_non_null(L);
  luaL_openlibs(L);
  luaL_requiref(L, "kadenza.core", luaopen_kadenza_core, 0);
  run(kind);
  run(open_node);
  const struct kad_lua_node *const handle = lua_touserdata(L, 1);
  fixture->store = handle->link->node->store;
  lua_setglobal(L, "node");
}

static void open_simple(struct kad_memory_fixture *fixture) {
  open_store(fixture, simple);
}

static void open_class(struct kad_memory_fixture *fixture) {
  open_store(fixture, class);
}

static void close_store(struct kad_memory_fixture *fixture) {
  assert_int_equal(kad_store_failures(fixture->store), 0);
  run("node:close() return closed");
  assert_int_equal(lua_tointeger(L, 1), 1);
  lua_close(L);
}

int main(void) {
  static const struct kad_store_kind kinds[] = {
      {"a table of Lua", open_simple, close_store},
      {"an object of Lua", open_class, close_store},
  };
  return kad_store_conformance_run("store in Lua", kinds,
                                   sizeof kinds / sizeof kinds[0]);
}
