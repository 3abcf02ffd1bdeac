#define _POSIX_C_SOURCE 200809L

#include "lua/interrupt.h"

#include <lauxlib.h>

#include <signal.h>
#include <stdbool.h>

static volatile sig_atomic_t interrupted;

static void note_signal(int signal) {
  (void)signal;
  interrupted = 1;
}

/* catch_interrupt(on): catches the next SIGINT; false: it ends the process */
static int catch_interrupt(lua_State *L) {
  const bool on = lua_toboolean(L, 1);
  struct sigaction action = {.sa_handler = on ? note_signal : SIG_DFL,
                             .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  sigemptyset(&action.sa_mask);
  interrupted = 0;
  sigaction(SIGINT, &action, NULL);
  return 0;
}

/* was_interrupted() → whether a SIGINT was caught since then */
static int was_interrupted(lua_State *L) {
  lua_pushboolean(L, interrupted != 0);
  return 1;
}

void kad_lua_add_interrupt(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"catch_interrupt", catch_interrupt},
      {"was_interrupted", was_interrupted},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
