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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
  MAX_ARGUMENTS = 64,
  STREAMS = 3,
  PATH_CAP = 4096,
  MAX_SECONDS = 3600,
  FILE_MODE = 0600,
  FIRST_WAIT_MS = 1, /* between two checks whether the program has ended; … */
  LONGEST_WAIT_MS = 50 /* … doubled up to this */
};

/* The call that fails if the interpreter of a script is missing. */
static const char interpreter_call[] = "exec of its interpreter";

/* A system call that failed. */
struct failure {
  const char *object; /* a file or a program */
  const char *call;   /* NULL: the program took too long */
  int number;         /* errno */
};

/* A program to run. Borrows the strings of the Lua function's arguments. */
struct command {
  char *argv[MAX_ARGUMENTS + 1];
  const char *paths[STREAMS]; /* of its input, output and errors */
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
  for (int i = 0; i < STREAMS; i++) {
    check_path(L, names[i], &command->paths[i]);
  }
  (void)kad_lua_field_integer(L, 2, "timeout", 1, MAX_SECONDS,
                              &command->seconds);
}

/* Notes a system call that failed. Returns false. */
static bool fail(struct failure *failure, const char *object, const char *call,
                 int number) {
  *failure = (struct failure){.object = object, .call = call, .number = number};
  return false;
}

/* Opens the files of the three streams, in this process, so that a failure is
 * known to be that of a file. Sets those that are not opened to -1. */
static bool open_files(const struct command *command, int fds[STREAMS],
                       struct failure *failure) {
  const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  for (int i = 0; i < STREAMS; i++) {
    fds[i] = -1;
  }
  for (int i = 0; i < STREAMS; i++) {
    const char *const path = command->paths[i];
    fds[i] =
        open(path, i == STDIN_FILENO ? O_RDONLY | O_CLOEXEC : flags, FILE_MODE);
    if (fds[i] < 0) {
      return fail(failure, path, "open", errno);
    }
  }
  return true;
}

static void close_files(const int fds[STREAMS]) {
  for (int i = 0; i < STREAMS; i++) {
    if (fds[i] >= 0) {
      (void)close(fds[i]);
    }
  }
}

/* Gives the program its streams. Returns 0 or an errno. */
static int add_files(posix_spawn_file_actions_t *actions,
                     const int fds[STREAMS]) {
  int error = 0;
  for (int i = 0; error == 0 && i < STREAMS; i++) {
    error = posix_spawn_file_actions_adddup2(actions, fds[i], i);
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
  (void)sigaddset(&defaults, SIGXFSZ);
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

/* Starts the program with open streams. Returns 0 or an errno. */
static int start_with(const struct command *command, const int fds[STREAMS],
                      pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) {
    return error;
  }
  error = posix_spawnattr_init(&attributes);
  if (error == 0) {
    error = add_files(&actions, fds);
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

/* Tells whether a folder of `path`, a list with colons, has the program. */
static bool is_on_path(const char *path, const char *program) {
  char file[PATH_CAP];
  while (*path != '\0') {
    const size_t len = strcspn(path, ":");
    const int count =
        snprintf(file, sizeof file, "%.*s/%s", (int)len, path, program);
    if (count > 0 && (size_t)count < sizeof file && access(file, X_OK) == 0) {
      return true;
    }
    path += len + (path[len] == ':');
  }
  return false;
}

/* Returns the call of posix_spawnp that failed. A script whose interpreter is
 * missing gets the same errno as a missing program. */
static const char *call_of(const char *program, int error) {
  const char *const path = getenv("PATH");
  const bool exists = strchr(program, '/') != NULL
                          ? access(program, X_OK) == 0
                          : path != NULL && is_on_path(path, program);
  return error == ENOENT && exists ? interpreter_call : "exec";
}

/* Starts the program. */
static bool start_program(const struct command *command, pid_t *pid,
                          struct failure *failure) {
  int fds[STREAMS];
  bool started = open_files(command, fds, failure);
  if (started) {
    const int error = start_with(command, fds, pid);
    if (error != 0) {
      const char *const program = command->argv[0];
      started = fail(failure, program, call_of(program, error), error);
    }
  }
  close_files(fds);
  return started;
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

/* Waits until the program has ended, and kills it if it takes too long. */
static bool await_end(const struct command *command, pid_t pid, int *status,
                      struct failure *failure) {
  const char *const program = command->argv[0];
  const lua_Integer deadline_ms = clock_ms() + command->seconds * 1000;
  lua_Integer wait_ms = FIRST_WAIT_MS;
  for (;;) {
    const pid_t ended = waitpid(pid, status, WNOHANG);
    if (ended == pid) {
      return true;
    }
    if (ended < 0 && errno != EINTR) {
      return fail(failure, program, "waitpid", errno);
    }
    if (clock_ms() >= deadline_ms) {
      (void)kill(pid, SIGKILL);
      while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
      }
      return fail(failure, program, NULL, ETIMEDOUT);
    }
    pause_for(wait_ms);
    wait_ms = wait_ms * 2 < LONGEST_WAIT_MS ? wait_ms * 2 : LONGEST_WAIT_MS;
  }
}

/* Pushes nil, "object: call: reason" and the code. [-0, +3, m] */
static int push_failure(lua_State *L, const struct command *command,
                        const struct failure *failure) {
  if (failure->call == NULL) {
    lua_pushfstring(L, "%s: did not end within %I s", failure->object,
                    (LUAI_UACINT)command->seconds);
    return kad_lua_push_error_message(L, KAD_ETIMEOUT);
  }
  const bool is_missing =
      failure->number == ENOENT && strcmp(failure->call, "exec") == 0;
  return kad_lua_push_system_failure(
      L, is_missing ? KAD_ENOTFOUND : kad_lua_error_of_errno(failure->number),
      failure->object, failure->call, failure->number);
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
 *   KAD_ENOTFOUND  there is no such program
 *   KAD_ETIMEOUT   it was killed */
static int spawn(lua_State *L) {
  struct command command;
  struct failure failure = {0};
  pid_t pid = 0;
  int status = 0;
  check_command(L, &command);
  if (!start_program(&command, &pid, &failure) ||
      !await_end(&command, pid, &status, &failure)) {
    return push_failure(L, &command, &failure);
  }
  return push_status(L, &command, status);
}

void kad_lua_add_spawn(lua_State *L) {
  lua_pushcfunction(L, spawn);
  lua_setfield(L, -2, "spawn");
}
