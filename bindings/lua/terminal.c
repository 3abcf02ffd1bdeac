/* For wcwidth. */
#define _XOPEN_SOURCE 700

#include "lua/terminal.h"

#include <lauxlib.h>

#include <locale.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

/* Returns argument 1, a standard stream. [-0, +0, v] */
static int check_stream(lua_State *L) {
  const lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd <= 2, 1, "0, 1 or 2");
  return (int)fd;
}

/* is_terminal(fd) → whether a standard stream is a terminal */
static int is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty(check_stream(L)));
  return 1;
}

/* is_foreground(fd) → whether the terminal of a stream shows this process:
 * false for a job in the background, whose output appears between the lines
 * that the user types */
static int is_foreground(lua_State *L) {
  const pid_t group = tcgetpgrp(check_stream(L));
  lua_pushboolean(L, group < 0 || group == getpgrp());
  return 1;
}

/* terminal_columns(fd) → number of columns of the terminal; nil if the stream
 * is not a terminal, or one that does not tell its size */
static int terminal_columns(lua_State *L) {
  struct winsize size = {0};
  const int fd = check_stream(L);
  if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    lua_pushinteger(L, size.ws_col);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* terminal_rows(fd) → number of lines of the terminal; nil as above */
static int terminal_rows(lua_State *L) {
  struct winsize size = {0};
  const int fd = check_stream(L);
  if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) {
    lua_pushinteger(L, size.ws_row);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* has_reader(fd) → false if the stream is a pipe or a socket whose other end is
 * closed */
static int has_reader(lua_State *L) {
  struct pollfd stream = {.fd = check_stream(L)};
  const bool is_known = poll(&stream, 1, 0) == 1;
  lua_pushboolean(L, !is_known || (stream.revents & (POLLERR | POLLHUP)) == 0);
  return 1;
}

/* Returns how many columns a text takes in the current locale. A byte or a
 * character of unknown width takes one. */
static size_t count_columns(const char *text, size_t len) {
  mbstate_t state;
  size_t columns = 0;
  memset(&state, 0, sizeof state);
  while (len > 0) {
    wchar_t character = 0;
    size_t used = mbrtowc(&character, text, len, &state);
    int width = 1;
    if (used == (size_t)-1 || used == (size_t)-2) {
      memset(&state, 0, sizeof state);
      used = 1;
    } else {
      used = used > 0 ? used : 1; /* a zero byte */
      width = wcwidth(character);
    }
    columns += width >= 0 ? (size_t)width : 1;
    text += used;
    len -= used;
  }
  return columns;
}

/* text_width(text) → columns that the text takes on a terminal: 2 for each wide
 * character, 0 for each that combines with the one before */
static int text_width(lua_State *L) {
  size_t len = 0;
  const char *const text = luaL_checklstring(L, 1, &len);
  size_t columns = 0;
  locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  if (locale == (locale_t)0) {
    locale = newlocale(LC_CTYPE_MASK, "UTF-8", (locale_t)0); /* macOS */
  }
  if (locale != (locale_t)0) {
    const locale_t before = uselocale(locale);
    columns = count_columns(text, len);
    (void)uselocale(before);
    freelocale(locale);
  } else {
    for (size_t i = 0; i < len; i++) {
      columns += ((unsigned char)text[i] & 0xC0U) != 0x80U;
    }
  }
  lua_pushinteger(L, (lua_Integer)columns);
  return 1;
}

void kad_lua_add_terminal(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"is_terminal", is_terminal},
      {"is_foreground", is_foreground},
      {"terminal_columns", terminal_columns},
      {"terminal_rows", terminal_rows},
      {"has_reader", has_reader},
      {"text_width", text_width},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
