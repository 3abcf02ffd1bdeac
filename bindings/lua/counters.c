#include "lua/counters.h"

#include "kadenza.h"
#include "kadenza_durable.h"
#include "kadenza_socket.h"
#include "lua/field.h"

#include <lauxlib.h>

#include <stdbool.h>
#include <string.h>

/* The end of the text of a gauge. */
static const char gauge_mark[] = " (gauge)";

struct counter {
  const char *name;
  const char *text;
};

/* Pushes {name, text, is_gauge}. [-0, +1, m] */
static void push_counter(lua_State *L, const struct counter *counter) {
  const size_t mark = sizeof gauge_mark - 1;
  const size_t len = strlen(counter->text);
  const bool is_gauge =
      len > mark && strcmp(counter->text + len - mark, gauge_mark) == 0;
  lua_createtable(L, 0, 3);
  kad_lua_set_string(L, "name", counter->name);
  lua_pushlstring(L, counter->text, is_gauge ? len - mark : len);
  lua_setfield(L, -2, "text");
  kad_lua_set_boolean(L, "is_gauge", is_gauge);
}

/* Sets the field `part` of the table at the top to a list. [-0, +0, m] */
static void set_part(lua_State *L, const char *part,
                     const struct counter *counters, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_counter(L, &counters[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, part);
}

/* counters() → {node, sockets, durable}, each a list of {name, text,
 * is_gauge} */
static int counters(lua_State *L) {
#define COUNTER(name, text) {#name, text},
  static const struct counter node[] = {KAD_STATS_MAP(COUNTER)};
  static const struct counter sockets[] = {KAD_SOCKET_STATS_MAP(COUNTER)};
  static const struct counter durable[] = {KAD_DURABLE_STATS_MAP(COUNTER)};
#undef COUNTER
  lua_createtable(L, 0, 3);
  set_part(L, "node", node, sizeof node / sizeof node[0]);
  set_part(L, "sockets", sockets, sizeof sockets / sizeof sockets[0]);
  set_part(L, "durable", durable, sizeof durable / sizeof durable[0]);
  return 1;
}

void kad_lua_add_counters(lua_State *L) {
  lua_pushcfunction(L, counters);
  lua_setfield(L, -2, "counters");
}
