/* Tested by tests/spec/local_socket_spec.lua. */

/* For accept4. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _GNU_SOURCE

#include "lua/local_socket.h"

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/handle.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER "kadenza.core.LocalListener"
#define SOCKET   "kadenza.core.LocalSocket"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SIGPIPE is caught: see process.c */
#endif

enum {
  SOCKET_MODE = 0600,
  BACKLOG = 64,
  READ_CAP = 1 << 16, /* bytes of one read */
  PATH_MAX_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path) - 1
};

/* A socket that listens at a path, which is its user value. */
struct listener {
  int fd;       /* -1: closed */
  dev_t device; /* of the file at the path, with the next */
  ino_t inode;
};

struct local_socket {
  int fd; /* -1: closed */
};

static void close_fd(int *fd) {
  if (*fd >= 0) {
    (void)close(*fd);
    *fd = -1;
  }
}

/* Makes a socket that does not block and that programs do not inherit. Returns
 * -1 and sets errno on failure. */
static int new_socket(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
                  fcntl(fd, F_SETFL, O_NONBLOCK) != 0)) {
    close_fd(&fd);
  }
  return fd;
}

/* Returns the address of the path at `arg`. One that is too long for the system
 * is left for the caller to report: `*fits` is false. [-0, +0, v] */
static struct sockaddr_un check_address(lua_State *L, int arg, bool *fits) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *const path = kad_lua_check_path(L, arg);
  const size_t len = strlen(path);
  *fits = len <= PATH_MAX_BYTES;
  if (*fits) {
    memcpy(address.sun_path, path, len + 1);
  }
  return address;
}

/* Pushes nil, a message and KAD_ETOOBIG. [-0, +3, m] */
static int push_too_long(lua_State *L, int arg) {
  lua_pushfstring(L, "%s: the path of a socket has at most %d bytes, not %I",
                  lua_tostring(L, arg), (int)PATH_MAX_BYTES,
                  (LUAI_UACINT)luaL_len(L, arg));
  return kad_lua_push_error_message(L, KAD_ETOOBIG);
}

/* check_local_path(path) → true if it is short enough for a socket; or nil,
 * message, code */
static int check_local_path(lua_State *L) {
  bool fits = false;
  (void)check_address(L, 1, &fits);
  if (!fits) {
    return push_too_long(L, 1);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Pushes nil, "path: call: reason" and the code. [-0, +3, m] */
static int push_failure(lua_State *L, int error, const char *path,
                        const char *call, int number) {
  return kad_lua_push_system_failure(L, error, path, call, number);
}

/* ------------------------------------------------------------ listening -- */

/* Binds `fd`, of its owner only, and listens. Returns NULL, or the call that
 * failed, with errno. No one can connect before it listens. */
static const char *bind_and_listen(struct listener *listener,
                                   const struct sockaddr_un *address) {
  struct stat status;
  const struct sockaddr *const generic = (const struct sockaddr *)address;
  if (bind(listener->fd, generic, sizeof *address) != 0) {
    return "bind";
  }
  const char *failed = NULL;
  if (chmod(address->sun_path, SOCKET_MODE) != 0) {
    failed = "chmod";
  } else if (lstat(address->sun_path, &status) != 0) {
    failed = "stat";
  } else if (listen(listener->fd, BACKLOG) != 0) {
    failed = "listen";
  }
  if (failed != NULL) {
    const int number = errno;
    (void)unlink(address->sun_path);
    errno = number;
    return failed;
  }
  listener->device = status.st_dev;
  listener->inode = status.st_ino;
  return NULL;
}

/* listen_local(path) → listener, or nil, message, code. Makes the file, which
 * must not exist; only its owner may connect. Codes:
 *   KAD_ETOOBIG     the path is too long for a socket
 *   KAD_EADDRINUSE  there is a file */
static int listen_local(lua_State *L) {
  bool fits = false;
  const struct sockaddr_un address = check_address(L, 1, &fits);
  if (!fits) {
    return push_too_long(L, 1);
  }
  struct listener *const self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (struct listener){.fd = -1};
  luaL_setmetatable(L, LISTENER);
  lua_pushvalue(L, 1);
  (void)lua_setiuservalue(L, -2, 1);
  self->fd = new_socket();
  const char *const failed =
      self->fd < 0 ? "socket" : bind_and_listen(self, &address);
  if (failed != NULL) {
    const int number = errno;
    close_fd(&self->fd);
    const int error =
        number == EADDRINUSE ? KAD_EADDRINUSE : kad_lua_error_of_errno(number);
    return push_failure(L, error, lua_tostring(L, 1), failed, number);
  }
  return 1;
}

static struct listener *check_listener(lua_State *L) {
  struct listener *const self = luaL_checkudata(L, 1, LISTENER);
  luaL_argcheck(L, self->fd >= 0, 1, "closed listener");
  return self;
}

/* listener:fd() → its descriptor, which is readable when one waits */
static int listener_fd(lua_State *L) {
  lua_pushinteger(L, check_listener(L)->fd);
  return 1;
}

/* Pushes a closed socket. [-0, +1, m] */
static struct local_socket *push_socket(lua_State *L) {
  struct local_socket *const self = lua_newuserdatauv(L, sizeof *self, 0);
  self->fd = -1;
  luaL_setmetatable(L, SOCKET);
  return self;
}

/* Tells whether a failed accept only means that none waits any more. */
static bool is_none(int number) {
  return number == EAGAIN || number == EWOULDBLOCK || number == EINTR ||
         number == ECONNABORTED;
}

/* listener:accept() → socket; false if none waits; or nil, message, code */
static int listener_accept(lua_State *L) {
  const struct listener *const listener = check_listener(L);
  struct local_socket *const self = push_socket(L);
#ifdef SOCK_CLOEXEC
  self->fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
  self->fd = accept(listener->fd, NULL, NULL);
  if (self->fd >= 0) {
    (void)fcntl(self->fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(self->fd, F_SETFL, O_NONBLOCK);
  }
#endif
  if (self->fd >= 0) {
    return 1;
  }
  const int number = errno;
  if (is_none(number)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  (void)lua_getiuservalue(L, 1, 1);
  return push_failure(L, kad_lua_error_of_errno(number), lua_tostring(L, -1),
                      "accept", number);
}

/* is_local_socket(path) → whether there is a socket. Does not follow links. */
static int is_local_socket(lua_State *L) {
  struct stat status;
  lua_pushboolean(L, lstat(kad_lua_check_path(L, 1), &status) == 0 &&
                         S_ISSOCK(status.st_mode));
  return 1;
}

/* listener:close(): removes the file, if it is still its own. May be
 * repeated. */
static int listener_close(lua_State *L) {
  struct stat status;
  struct listener *const self = luaL_checkudata(L, 1, LISTENER);
  if (self->fd < 0) {
    return 0;
  }
  (void)lua_getiuservalue(L, 1, 1);
  const char *const path = lua_tostring(L, -1);
  if (lstat(path, &status) == 0 && status.st_dev == self->device &&
      status.st_ino == self->inode) {
    (void)unlink(path);
  }
  close_fd(&self->fd);
  return 0;
}

static int listener_gc(lua_State *L) {
  struct listener *const self = luaL_checkudata(L, 1, LISTENER);
  close_fd(&self->fd);
  return 0;
}

/* ----------------------------------------------------------- connecting -- */

/* Returns the KAD_E… code of a connect that failed. */
static int error_of_connect(int number) {
  switch (number) {
  case ENOENT:
  case ENOTDIR:
    return KAD_ENOTFOUND;
  case ECONNREFUSED:
    return KAD_EREFUSED;
  case EAGAIN:
    return KAD_EBUSY;
  default:
    return kad_lua_error_of_errno(number);
  }
}

/* connect_local(path) → socket, or nil, message, code. Codes:
 *   KAD_ETOOBIG    the path is too long for a socket
 *   KAD_ENOTFOUND  there is no such file
 *   KAD_EREFUSED   no process listens there: it is left over, or no socket
 *   KAD_EBUSY      too many wait to be accepted
 *   KAD_EACCESS    it belongs to another user */
static int connect_local(lua_State *L) {
  bool fits = false;
  const struct sockaddr_un address = check_address(L, 1, &fits);
  const struct sockaddr *const generic = (const struct sockaddr *)&address;
  if (!fits) {
    return push_too_long(L, 1);
  }
  struct local_socket *const self = push_socket(L);
  self->fd = new_socket();
  if (self->fd >= 0 && connect(self->fd, generic, sizeof address) == 0) {
    return 1;
  }
  const int number = errno;
  const char *const failed = self->fd < 0 ? "socket" : "connect";
  close_fd(&self->fd);
  return push_failure(L, error_of_connect(number), lua_tostring(L, 1), failed,
                      number);
}

static struct local_socket *check_socket(lua_State *L) {
  struct local_socket *const self = luaL_checkudata(L, 1, SOCKET);
  luaL_argcheck(L, self->fd >= 0, 1, "closed socket");
  return self;
}

static int socket_fd(lua_State *L) {
  lua_pushinteger(L, check_socket(L)->fd);
  return 1;
}

/* Pushes false if `number` means that the call would have waited, else nil, a
 * message and a code. [-0, +1|3, m] */
static int push_blocked(lua_State *L, const char *call, int number) {
  if (number == EAGAIN || number == EWOULDBLOCK || number == EINTR) {
    lua_pushboolean(L, 0);
    return 1;
  }
  return push_failure(L, kad_lua_error_of_errno(number), "console", call,
                      number);
}

/* socket:read() → bytes, "" at the end; false if there are none yet; or nil,
 * message, code */
static int socket_read(lua_State *L) {
  luaL_Buffer buffer;
  const int fd = check_socket(L)->fd;
  char *const bytes = luaL_buffinitsize(L, &buffer, READ_CAP);
  const ssize_t len = recv(fd, bytes, READ_CAP, 0);
  if (len < 0) {
    return push_blocked(L, "read", errno);
  }
  luaL_pushresultsize(&buffer, (size_t)len);
  return 1;
}

/* socket:write(bytes, from) → how many were written, beginning with byte
 * `from`; false if none fits yet; or nil, message, code */
static int socket_write(lua_State *L) {
  const int fd = check_socket(L)->fd;
  const struct kad_slice bytes = kad_lua_check_slice(L, 2);
  const size_t skip =
      (size_t)kad_lua_check_integer(L, 3, 1, (lua_Integer)bytes.len + 1) - 1;
  if (skip == bytes.len) {
    lua_pushinteger(L, 0);
    return 1;
  }
  const ssize_t len =
      send(fd, bytes.data + skip, bytes.len - skip, MSG_NOSIGNAL);
  if (len < 0) {
    return push_blocked(L, "write", errno);
  }
  lua_pushinteger(L, (lua_Integer)len);
  return 1;
}

/* socket:wait(mode, ms) → whether it is ready to be read ("r") or written
 * ("w"); false also if a signal has come or `ms` have passed */
static int socket_wait(lua_State *L) {
  static const char *const modes[] = {"r", "w", NULL};
  struct pollfd one = {.fd = check_socket(L)->fd};
  one.events = luaL_checkoption(L, 2, NULL, modes) == 0 ? POLLIN : POLLOUT;
  const lua_Integer ms = kad_lua_check_integer(L, 3, 0, 1 << 30);
  lua_pushboolean(L, poll(&one, 1, (int)ms) > 0);
  return 1;
}

/* socket:close(): may be repeated */
static int socket_close(lua_State *L) {
  struct local_socket *const self = luaL_checkudata(L, 1, SOCKET);
  close_fd(&self->fd);
  return 0;
}

void kad_lua_add_local_socket(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"listen_local", listen_local},
      {"connect_local", connect_local},
      {"check_local_path", check_local_path},
      {"is_local_socket", is_local_socket},
      {NULL, NULL},
  };
  static const luaL_Reg listener_functions[] = {
      {"fd", listener_fd},
      {"accept", listener_accept},
      {"close", listener_close},
      {NULL, NULL},
  };
  static const luaL_Reg listener_meta[] = {{"__gc", listener_gc}, {NULL, NULL}};
  static const luaL_Reg socket_functions[] = {
      {"fd", socket_fd},     {"read", socket_read},   {"write", socket_write},
      {"wait", socket_wait}, {"close", socket_close}, {NULL, NULL},
  };
  static const luaL_Reg socket_meta[] = {{"__gc", socket_close}, {NULL, NULL}};
  static const luaL_Reg *const of_listener[] = {listener_functions, NULL};
  static const luaL_Reg *const of_socket[] = {socket_functions, NULL};
  kad_lua_push_metatable(L, LISTENER, of_listener, listener_meta);
  kad_lua_push_metatable(L, SOCKET, of_socket, socket_meta);
  lua_pop(L, 2);
  luaL_setfuncs(L, functions, 0);
}
