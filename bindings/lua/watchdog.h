/* watchdog.h: the last resort against code that does not end.
 *
 * The loop calls the functions of signals, so a function of C that runs for
 * long, or blocks, keeps SIGINT and SIGTERM from ending the process. Once the
 * watchdog is on, such a signal starts a timer. The timer ends the process
 * unless the loop calls the function of the signal before. What is on the disk
 * is whole even then: files are replaced, not written over. */
#ifndef KAD_LUA_WATCHDOG_H
#define KAD_LUA_WATCHDOG_H

#include <lua.h>

enum {
  KAD_WATCHDOG_MS = 800 /* from the signal to the end of the process */
};

/* Stops the timer: the loop calls the function of a signal. */
void kad_watchdog_stop_timer(void);

/* Adds start_watchdog to the top table: a function of no arguments, for a
 * program that has passed functions for SIGINT and SIGTERM to
 * network:on_signal. It uses SIGALRM. Returns true, or nil and a message.
 * [-0, +0, m] */
void kad_lua_add_watchdog(lua_State *L);

#endif
