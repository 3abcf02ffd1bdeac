#define _POSIX_C_SOURCE 200809L

#include "lua/interrupt.h"

#include <lauxlib.h>

#include <signal.h>
#include <stdbool.h>

static volatile sig_atomic_t interrupted;

/* The action of SIGINT while it is not caught. */
static struct sigaction before;

static void note_signal(int signal) {
  if (interrupted != 0) {
    (void)sigaction(signal, &before, NULL);
    (void)raise(signal);
  }
  interrupted = 1;
}

static bool is_caught(void) {
  struct sigaction now;
  return sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == note_signal;
}

/* catch_interrupt(on): catches the next SIGINT, unless it is ignored, as in a
 * job that a script has put into the background; false: it has the effect that
 * it had before */
static int catch_interrupt(lua_State *L) {
  const bool on = lua_toboolean(L, 1);
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
  (void)sigemptyset(&action.sa_mask);
  interrupted = 0;
  if (!on && is_caught()) {
    (void)sigaction(SIGINT, &before, NULL);
  } else if (on && !is_caught() && sigaction(SIGINT, NULL, &before) == 0 &&
             before.sa_handler != SIG_IGN) {
    (void)sigaction(SIGINT, &action, NULL);
  }
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
