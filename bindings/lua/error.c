#include "lua/error.h"

#include "kadenza.h"

#include <errno.h>

int kad_lua_push_error(lua_State *L, int error) {
  lua_pushstring(L, kad_error_text(error));
  return kad_lua_push_error_message(L, error);
}

int kad_lua_push_error_message(lua_State *L, int error) {
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushstring(L, kad_error_name(error));
  return 3;
}

int kad_lua_push_outcome(lua_State *L, int error) {
  if (error != 0) {
    return kad_lua_push_error(L, error);
  }
  lua_pushboolean(L, 1);
  return 1;
}

int kad_lua_error_of_errno(int number) {
  switch (number) {
  case EACCES:
  case EPERM:
    return KAD_EACCESS;
  case ENOMEM:
    return KAD_ENOMEM;
  case ETIMEDOUT:
    return KAD_ETIMEOUT;
  default:
    return KAD_ESYSTEM;
  }
}

void kad_lua_push_error_texts(lua_State *L) {
  lua_newtable(L);
#define SET_TEXT(code, value, text) \
  lua_pushstring(L, text);          \
  lua_setfield(L, -2, #code);
  KAD_ERROR_MAP(SET_TEXT)
#undef SET_TEXT
}
