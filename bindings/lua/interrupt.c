/* Ctrl-C, for programs that look for it now and then, such as a simulation,
 * which hears no signals. Only the first is caught: the second ends a process
 * that does not get to look, because a script of its user loops. Only the whole
 * module has this. */
#define _POSIX_C_SOURCE 200809L

#include "lua/link.h"

#include <signal.h>

static volatile sig_atomic_t came;

static void note(int number) {
  (void)number;
  came = 1;
}

/* catch_interrupt(whether): the next SIGINT of the process is caught, or ends
 * it again. */
static int catch_interrupt(lua_State *L) {
  const bool whether = lua_toboolean(L, 1);
  struct sigaction action = {.sa_handler = whether ? note : SIG_DFL,
                             .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  sigemptyset(&action.sa_mask);
  came = 0;
  sigaction(SIGINT, &action, NULL);
  return 0;
}

/* was_interrupted() → whether one was caught since then. */
static int was_interrupted(lua_State *L) {
  lua_pushboolean(L, came != 0);
  return 1;
}

void kad_lua_add_interrupt(lua_State *L) {
  lua_pushcfunction(L, catch_interrupt);
  lua_setfield(L, -2, "catch_interrupt");
  lua_pushcfunction(L, was_interrupted);
  lua_setfield(L, -2, "was_interrupted");
}
