#define _POSIX_C_SOURCE 200809L

#include "lua/process.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* Opens standard streams that are closed. Otherwise the next socket would get
 * the number of the stream, and output would be sent over the network. The
 * streams are opened the wrong way round, so that reading or writing fails. */
static void open_standard_streams(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
      (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    }
  }
}

/* Makes a write to a closed pipe, or beyond the limit of a file's size, fail
 * instead of ending the process. */
static void ignore_write_signals(void) {
  struct sigaction action = {.sa_handler = SIG_IGN};
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGPIPE, &action, NULL);
  (void)sigaction(SIGXFSZ, &action, NULL);
}

void kad_lua_prepare_process(void) {
  open_standard_streams();
  ignore_write_signals();
}

/* prepare_process() */
static int prepare_process(lua_State *L) {
  (void)L;
  kad_lua_prepare_process();
  return 0;
}

/* is_terminal(fd) → whether a file descriptor is a terminal */
static int is_terminal(lua_State *L) {
  const lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd <= 2, 1, "0, 1 or 2");
  lua_pushboolean(L, isatty((int)fd));
  return 1;
}

/* pid() → the id of the process */
static int pid(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)getpid());
  return 1;
}

/* variables(prefix) → the names of the environment that begin with `prefix` */
static int variables(lua_State *L) {
  size_t len = 0;
  const char *const prefix = luaL_checklstring(L, 1, &len);
  lua_newtable(L);
  for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
    const char *const end = strchr(*entry, '=');
    if (end != NULL && strncmp(*entry, prefix, len) == 0) {
      lua_pushlstring(L, *entry, (size_t)(end - *entry));
      lua_rawseti(L, -2, luaL_len(L, -2) + 1);
    }
  }
  return 1;
}

/* quit(status): flushes the output and ends the process at once. A normal exit
 * would wait for names that are being resolved, which can take long. */
static int quit(lua_State *L) {
  const lua_Integer status = luaL_checkinteger(L, 1);
  luaL_argcheck(L, status >= 0 && status <= 255, 1, "0 to 255");
  (void)fflush(NULL);
  _exit((int)status);
}

void kad_lua_add_process(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"prepare_process", prepare_process},
      {"is_terminal", is_terminal},
      {"pid", pid},
      {"variables", variables},
      {"quit", quit},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
