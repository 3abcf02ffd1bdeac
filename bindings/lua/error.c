#include "lua/error.h"

#include "kadenza.h"

#include <errno.h>
#include <string.h>

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

/* Returns the text of an errno, with what the user can do. */
static const char *text_of(int error, int number) {
  switch (number) {
  case EMFILE:
    return "Too many open files (`ulimit -n` sets the limit)";
  case EADDRINUSE:
  case EADDRNOTAVAIL:
    return kad_error_text(error);
  default:
    return strerror(number);
  }
}

int kad_lua_push_system_failure(lua_State *L, int error, const char *object,
                                const char *call, int number) {
  lua_pushfstring(L, "%s: %s: %s", object, call, text_of(error, number));
  return kad_lua_push_error_message(L, error);
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
