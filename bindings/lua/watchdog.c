#define _XOPEN_SOURCE 700

#include "lua/watchdog.h"

#include <lauxlib.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum {
  US_PER_MS = 1000,
  STATUS_OF_SIGNAL = 128 /* exit status of a process that signal 0 ends */
};

/* Signal handlers have no argument for their data, so it is static. */
static struct {
  bool is_on;
  volatile sig_atomic_t signal; /* the last one */
  struct sigaction interrupt;   /* the actions of SIGINT and SIGTERM before */
  struct sigaction terminate;
} watchdog;

static void set_timer(long milliseconds) {
  const struct itimerval time = {
      .it_value = {.tv_usec = milliseconds * US_PER_MS}};
  (void)setitimer(ITIMER_REAL, &time, NULL); /* a system call: safe here */
}

/* The handler of SIGINT and SIGTERM. */
static void start_timer(int signal) {
  const int before = errno;
  const struct sigaction *const action =
      signal == SIGINT ? &watchdog.interrupt : &watchdog.terminate;
  watchdog.signal = signal;
  set_timer(KAD_WATCHDOG_MS);
  if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN) {
    action->sa_handler(signal);
  }
  errno = before;
}

/* The handler of SIGALRM. Only calls what a signal handler may. */
static void end_process(int signal) {
  static const char text[] =
      "kadenza: the node does not respond to the signal: it ends at once\n";
  (void)signal;
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
  _exit(STATUS_OF_SIGNAL + watchdog.signal);
}

static bool set_action(int signal, void (*handler)(int),
                       struct sigaction *before) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  (void)sigfillset(&action.sa_mask);
  return sigaction(signal, &action, before) == 0;
}

/* start_watchdog() → true, or nil, message */
static int start_watchdog(lua_State *L) {
  if (!watchdog.is_on) {
    watchdog.is_on = set_action(SIGALRM, end_process, NULL) &&
                     set_action(SIGINT, start_timer, &watchdog.interrupt) &&
                     set_action(SIGTERM, start_timer, &watchdog.terminate);
  }
  if (!watchdog.is_on) {
    luaL_pushfail(L);
    lua_pushfstring(L, "sigaction: %s", strerror(errno));
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

void kad_watchdog_stop_timer(void) {
  if (watchdog.is_on) {
    set_timer(0);
  }
}

void kad_lua_add_watchdog(lua_State *L) {
  lua_pushcfunction(L, start_watchdog);
  lua_setfield(L, -2, "start_watchdog");
}
