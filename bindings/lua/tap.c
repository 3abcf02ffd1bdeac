/* Tested by tests/spec/console/tail_spec.lua. */
#include "lua/tap.h"

#include "kadenza_tap.h"
#include "lua/context.h"
#include "lua/handle.h"
#include "lua/value.h"

#include <lauxlib.h>

/* A datagram for the function of a tap. */
struct tapped {
  const struct kad_lua_node *self;
  const struct kad_tapped *datagram;
};

/* Calls fn(event, address, message, reason). [-0, +0, e] */
static int call_tap(lua_State *L) {
  static const char *const events[] = {"in", "out", "drop"};
  const struct tapped *const tapped = lua_touserdata(L, 1);
  const struct kad_tapped *const datagram = tapped->datagram;
  kad_lua_context_push_handle(L, tapped->self);
  if (lua_isuserdata(L, -1) &&
      lua_getiuservalue(L, -1, KAD_LUA_NODE_TAP) == LUA_TFUNCTION) {
    lua_pushstring(L, events[datagram->event]);
    kad_lua_push_address(L, datagram->peer);
    kad_lua_push_slice(L, datagram->message);
    lua_pushstring(L, datagram->reason);
    lua_call(L, 4, 0);
  }
  return 0;
}

static void datagram_tapped(void *data, const struct kad_tapped *datagram) {
  const struct kad_lua_node *const self = data;
  struct tapped tapped = {.self = self, .datagram = datagram};
  if (self->link != NULL) {
    (void)kad_lua_context_enter(self->context, call_tap, &tapped);
  }
}

/* node:tap(fn): calls fn(event, address, message, reason) for every datagram
 * from now on: "in", "out" or "drop", as kad_node_set_tap; nil ends that */
int kad_lua_node_tap(lua_State *L) {
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const bool is_on = !lua_isnoneornil(L, 2);
  if (is_on) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
  }
  lua_settop(L, 2);
  (void)lua_setiuservalue(L, 1, KAD_LUA_NODE_TAP);
  kad_node_set_tap(self->link->node, is_on ? datagram_tapped : NULL, self);
  return 0;
}
