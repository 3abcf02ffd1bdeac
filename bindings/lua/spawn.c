#define _POSIX_C_SOURCE 200809L

#include "lua/spawn.h"

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
  MAX_ARGUMENTS = 64,
  MAX_SECONDS = 3600,
  FILE_MODE = 0600,
  FIRST_WAIT_MS = 1, /* between two checks whether the program has ended; … */
  LONGEST_WAIT_MS = 50 /* … doubled up to this */
};

/* A program to run. Borrows the strings of the Lua function's arguments. */
struct command {
  char *argv[MAX_ARGUMENTS + 1];
  const char *paths[3]; /* of its input, output and errors */
  lua_Integer seconds;
};

/* Reads argument 1, the program and its arguments. [-0, +0, v] */
static void check_argv(lua_State *L, struct command *command) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const size_t count = lua_rawlen(L, 1);
  if (count < 1 || count > MAX_ARGUMENTS) {
    luaL_argerror(L, 1, "1 to 64 strings expected");
    return; /* never: it has raised */
  }
  for (size_t i = 0; i < count; i++) {
    /* A number is not converted: the table would not keep its string. */
    luaL_argcheck(L, lua_rawgeti(L, 1, (lua_Integer)i + 1) == LUA_TSTRING, 1,
                  "1 to 64 strings expected");
    size_t len = 0;
    const char *const text = lua_tolstring(L, -1, &len);
    luaL_argcheck(L, strlen(text) == len, 1, "a string contains a zero byte");
    command->argv[i] = (char *)text;
    lua_pop(L, 1);
  }
  command->argv[count] = NULL;
}

/* Reads a path of the options at argument 2. [-0, +0, v] */
static void check_path(lua_State *L, const char *name, const char **path) {
  struct kad_slice text;
  if (!kad_lua_field_string(L, 2, name, 1, 4095, &text)) {
    return;
  }
  *path = (const char *)text.data;
  luaL_argcheck(L, strlen(*path) == text.len, 2, "a path contains a zero byte");
}

/* Reads the arguments of spawn. [-0, +0, v] */
static void check_command(lua_State *L, struct command *command) {
  static const char *const names[] = {"input", "output", "errors", "timeout",
                                      NULL};
  static char none[] = "";
  *command = (struct command){
      .argv = {none},
      .paths = {"/dev/null", "/dev/null", "/dev/null"},
      .seconds = 60,
  };
  check_argv(L, command);
  if (!kad_lua_check_options(L, 2, names)) {
    return;
  }
  for (int i = 0; i < 3; i++) {
    check_path(L, names[i], &command->paths[i]);
  }
  (void)kad_lua_field_integer(L, 2, "timeout", 1, MAX_SECONDS,
                              &command->seconds);
}

/* Sets the three streams of the program. Returns 0 or an errno. */
static int add_files(posix_spawn_file_actions_t *actions,
                     const struct command *command) {
  const int write_flags = O_WRONLY | O_CREAT | O_TRUNC;
  int error = 0;
  for (int fd = STDIN_FILENO; error == 0 && fd <= STDERR_FILENO; fd++) {
    error = posix_spawn_file_actions_addopen(
        actions, fd, command->paths[fd],
        fd == STDIN_FILENO ? O_RDONLY : write_flags, FILE_MODE);
  }
  return error;
}

/* Makes the program begin with no signal blocked, and end at SIGPIPE as
 * programs expect. Returns 0 or an errno. */
static int reset_signals(posix_spawnattr_t *attributes) {
  sigset_t none;
  sigset_t defaults;
  (void)sigemptyset(&none);
  (void)sigemptyset(&defaults);
  (void)sigaddset(&defaults, SIGPIPE);
  int error = posix_spawnattr_setsigmask(attributes, &none);
  if (error == 0) {
    error = posix_spawnattr_setsigdefault(attributes, &defaults);
  }
  if (error == 0) {
    error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                                     POSIX_SPAWN_SETSIGDEF);
  }
  return error;
}

/* Starts the program. Returns 0 or an errno. */
static int start_program(const struct command *command, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) {
    return error;
  }
  error = posix_spawnattr_init(&attributes);
  if (error == 0) {
    error = add_files(&actions, command);
    if (error == 0) {
      error = reset_signals(&attributes);
    }
    if (error == 0) {
      error = posix_spawnp(pid, command->argv[0], &actions, &attributes,
                           command->argv, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
  }
  (void)posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* Returns milliseconds of a clock that is never set. */
static lua_Integer clock_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (lua_Integer)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_for(lua_Integer wait_ms) {
  const struct timespec wait = {.tv_nsec = (long)wait_ms * 1000000};
  (void)nanosleep(&wait, NULL);
}

/* Waits until the program has ended, and kills it if it takes too long.
 * Returns 0, ETIMEDOUT, or another errno. */
static int await_end(pid_t pid, lua_Integer seconds, int *status) {
  const lua_Integer deadline_ms = clock_ms() + seconds * 1000;
  lua_Integer wait_ms = FIRST_WAIT_MS;
  for (;;) {
    const pid_t ended = waitpid(pid, status, WNOHANG);
    if (ended == pid) {
      return 0;
    }
    if (ended < 0 && errno != EINTR) {
      return errno;
    }
    if (clock_ms() >= deadline_ms) {
      (void)kill(pid, SIGKILL);
      while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
      }
      return ETIMEDOUT;
    }
    pause_for(wait_ms);
    wait_ms = wait_ms * 2 < LONGEST_WAIT_MS ? wait_ms * 2 : LONGEST_WAIT_MS;
  }
}

/* Pushes nil, "program: reason" and the code. [-0, +3, m] */
static int push_failure(lua_State *L, const struct command *command,
                        int error) {
  if (error == ETIMEDOUT) {
    lua_pushfstring(L, "%s: did not end within %I s", command->argv[0],
                    (LUAI_UACINT)command->seconds);
  } else {
    lua_pushfstring(L, "%s: %s", command->argv[0], strerror(error));
  }
  return kad_lua_push_error_message(
      L, error == ENOENT ? KAD_ENOTFOUND : kad_lua_error_of_errno(error));
}

/* Pushes how the program ended. [-0, +1 or 3, m] */
static int push_status(lua_State *L, const struct command *command,
                       int status) {
  if (WIFEXITED(status)) {
    lua_pushinteger(L, WEXITSTATUS(status));
    return 1;
  }
  lua_pushfstring(L, "%s: ended by signal %d", command->argv[0],
                  WTERMSIG(status));
  return kad_lua_push_error_message(L, KAD_ESYSTEM);
}

/* spawn({program, argument...} [, {input, output, errors, timeout}]) → exit
 * status, or nil, message, code. Searches the program as a shell does. Its
 * streams are files or nothing. The call returns when the program has ended. It
 * is killed after `timeout` seconds, 60 by default. Codes:
 *   KAD_ENOTFOUND  there is no such program, or input
 *   KAD_ETIMEOUT   it was killed */
static int spawn(lua_State *L) {
  struct command command;
  pid_t pid = 0;
  int status = 0;
  check_command(L, &command);
  int error = start_program(&command, &pid);
  if (error == 0) {
    error = await_end(pid, command.seconds, &status);
  }
  return error == 0 ? push_status(L, &command, status)
                    : push_failure(L, &command, error);
}

void kad_lua_add_spawn(lua_State *L) {
  lua_pushcfunction(L, spawn);
  lua_setfield(L, -2, "spawn");
}
