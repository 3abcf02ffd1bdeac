/* Some systems show the flags of sendto beyond POSIX only. */
#define _DEFAULT_SOURCE

#include "lua/service_manager.h"

#include "kadenza.h"
#include "lua/error.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
  US_PER_S = 1000000,
  NS_PER_US = 1000
};

/* Sets `*address` to the socket called `name`: an absolute path, or "@…" for
 * one without a file. Returns its length, or 0 for another or a longer name. */
static socklen_t read_name(struct sockaddr_un *address, const char *name,
                           size_t len) {
  const bool is_abstract = len > 1 && name[0] == '@';
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if ((!is_abstract && (len == 0 || name[0] != '/')) ||
      len + (is_abstract ? 0 : 1) > sizeof address->sun_path) {
    return 0;
  }
  memcpy(address->sun_path, name, len);
  if (is_abstract) {
    address->sun_path[0] = '\0';
  }
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
                     (is_abstract ? 0 : 1));
}

/* Sends a datagram without waiting. Returns 0, or an errno. */
static int send_datagram(const struct sockaddr_un *address, socklen_t size,
                         const char *text, size_t len) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) {
    return errno;
  }
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  const ssize_t sent = sendto(fd, text, len, MSG_DONTWAIT,
                              (const struct sockaddr *)address, size);
  const int number = sent < 0 ? errno : 0;
  (void)close(fd);
  return number;
}

/* notify_manager(name, text) → true; false if the socket `name` can take no
 * more now; or nil, message, code */
static int notify_manager(lua_State *L) {
  struct sockaddr_un address;
  size_t name_len = 0;
  size_t len = 0;
  const char *const name = luaL_checklstring(L, 1, &name_len);
  const char *const text = luaL_checklstring(L, 2, &len);
  const socklen_t size = read_name(&address, name, name_len);
  if (size == 0) {
    lua_pushfstring(L, "%s: is not the name of a socket, or too long", name);
    return kad_lua_push_error_message(L, KAD_EINVAL);
  }
  const int number = send_datagram(&address, size, text, len);
  const bool is_full =
      number == EAGAIN || number == EWOULDBLOCK || number == ENOBUFS;
  if (number != 0 && !is_full) {
    return kad_lua_push_system_failure(L, kad_lua_error_of_errno(number), name,
                                       "sendto", number);
  }
  lua_pushboolean(L, !is_full);
  return 1;
}

/* monotonic_us() → microseconds of the clock that never jumps, of the system */
static int monotonic_us(lua_State *L) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushinteger(L, (lua_Integer)now.tv_sec * US_PER_S +
                         (lua_Integer)now.tv_nsec / NS_PER_US);
  return 1;
}

/* writes_to_journal() → true if standard error is the stream of the journal
 * that JOURNAL_STREAM names: a program that starts this one may have redirected
 * it */
static int writes_to_journal(lua_State *L) {
  char own[64] = "";
  struct stat info;
  const char *const stream = getenv("JOURNAL_STREAM");
  if (stream != NULL && fstat(STDERR_FILENO, &info) == 0) {
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)info.st_dev,
                   (uintmax_t)info.st_ino);
  }
  lua_pushboolean(L, stream != NULL && strcmp(stream, own) == 0);
  return 1;
}

void kad_lua_add_service_manager(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"notify_manager", notify_manager},
      {"monotonic_us", monotonic_us},
      {"writes_to_journal", writes_to_journal},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
