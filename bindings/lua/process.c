#define _POSIX_C_SOURCE 200809L

#include "lua/process.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
  STATUS_OF_SIGNALS = 128 /* added to a signal, as shells do */
};

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

static void set_action(int signal, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(signal, &action, NULL);
}

/* Does nothing: the call that caused the signal fails. Unlike an ignored
 * signal, a caught one has its default action in the programs that are started
 * from here. */
static void let_call_fail(int signal) {
  (void)signal;
}

static void end_process(int signal) {
  _exit(STATUS_OF_SIGNALS + signal);
}

/* Makes the signals that end a process also end process 1, where the kernel
 * leaves out default actions. A signal that is ignored stays ignored. */
static void end_at_signals(void) {
  static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction before;
    if (sigaction(signals[i], NULL, &before) == 0 &&
        before.sa_handler == SIG_DFL) {
      set_action(signals[i], end_process);
    }
  }
}

/* Sets what a process may have inherited, and what its programs inherit. */
static void prepare_signals(void) {
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  set_action(SIGPIPE, let_call_fail);
  set_action(SIGXFSZ, let_call_fail);
  set_action(SIGCHLD, SIG_DFL); /* ignored, it hides how a program ended */
  if (getpid() == 1) {
    end_at_signals();
  }
}

void kad_lua_prepare_process(void) {
  open_standard_streams();
  prepare_signals();
}

/* prepare_process() */
static int prepare_process(lua_State *L) {
  (void)L;
  kad_lua_prepare_process();
  return 0;
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

/* quit(status): flushes the output and ends the process at once, without the
 * time that freeing everything takes. */
static int quit(lua_State *L) {
  const lua_Integer status = luaL_checkinteger(L, 1);
  luaL_argcheck(L, status >= 0 && status <= 255, 1, "0 to 255");
  (void)fflush(NULL);
  _exit((int)status);
}

/* end_by_broken_pipe(): ends the process as a write to a closed pipe ends a
 * program that does not handle it: the reader wants no more. */
static int end_by_broken_pipe(lua_State *L) {
  (void)L;
  set_action(SIGPIPE, SIG_DFL);
  (void)raise(SIGPIPE);
  _exit(STATUS_OF_SIGNALS + SIGPIPE); /* process 1 */
}

void kad_lua_add_process(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"prepare_process", prepare_process},
      {"pid", pid},
      {"variables", variables},
      {"quit", quit},
      {"end_by_broken_pipe", end_by_broken_pipe},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
