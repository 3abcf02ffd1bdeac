/* memmem() is an extension of glibc, musl and the BSDs. */
#define _GNU_SOURCE

#include "policy/pattern.h"

#include "policy/matcher.h"
#include "policy/meter.h"

#include <lauxlib.h>

#include <stdint.h>
#include <string.h>

enum {
  SEARCHED = 4 /* bytes that memmem searches in the time of a step */
};

static const char type_name[] = "kadenza.matcher";

/* The module whose functions stand between these and the script. */
static const char driver[] = "=kadenza.policy.pattern";

/* Raises an error at the place of the script. */
static int raise(lua_State *L, const char *problem, unsigned index) {
  lua_Debug at;
  int level = 1;
  while (lua_getstack(L, level, &at) && lua_getinfo(L, "S", &at) &&
         (strcmp(at.source, driver) == 0 || *at.what == 'C')) {
    level++;
  }
  luaL_where(L, level);
  if (index > 0) {
    lua_pushfstring(L, "%s %%%d", problem, (int)index);
  } else {
    lua_pushstring(L, problem);
  }
  lua_concat(L, 2);
  return lua_error(L);
}

static void charge(lua_State *L, uint64_t steps) {
  kad_meter_charge(kad_meter_of(L), steps);
}

static struct kad_matcher *check_matcher(lua_State *L) {
  return luaL_checkudata(L, 1, type_name);
}

/* new(subject, pattern, is_anchored) → matcher. "^" is an ordinary byte unless
 * `is_anchored` says whether it anchors the match: a boolean. */
static int new_matcher(lua_State *L) {
  size_t subject_len = 0;
  size_t pattern_len = 0;
  const char *const subject = luaL_checklstring(L, 1, &subject_len);
  const char *const pattern = luaL_checklstring(L, 2, &pattern_len);
  const bool is_anchored =
      lua_toboolean(L, 3) && pattern_len > 0 && *pattern == '^';
  const size_t depth = kad_matcher_depth(pattern, pattern_len);
  charge(L, pattern_len / SEARCHED);
  struct kad_matcher *const matcher = lua_newuserdatauv(
      L, sizeof *matcher + depth * sizeof *matcher->choices, 2);
  *matcher = (struct kad_matcher){
      .subject = subject,
      .subject_len = subject_len,
      .pattern = pattern,
      .pattern_len = pattern_len,
      .is_anchored = is_anchored,
      .first_item = is_anchored ? 1 : 0,
      .choices = (struct kad_matcher_choice *)(matcher + 1),
  };
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1); /* both live as long as the matcher */
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  luaL_setmetatable(L, type_name);
  return 1;
}

/* begin(matcher, start[, rejected]): searches from byte `start` on. A match
 * that ends before byte `rejected` does not count. */
static int begin(lua_State *L) {
  struct kad_matcher *const matcher = check_matcher(L);
  const lua_Integer start = luaL_checkinteger(L, 2);
  const lua_Integer rejected = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, start >= 1 && (size_t)start <= matcher->subject_len + 1, 2,
                "outside of the subject");
  kad_matcher_begin(matcher, (size_t)start - 1,
                    rejected > 0 ? (size_t)rejected - 1 : SIZE_MAX);
  return 0;
}

/* advance(matcher) → the first byte of the match and the byte after it; nil
 * without a match; false if it must be called again */
static int advance(lua_State *L) {
  struct kad_matcher *const matcher = check_matcher(L);
  const uint64_t before = matcher->steps;
  const enum kad_match match = kad_matcher_advance(matcher, KAD_PATTERN_SLICE);
  charge(L, matcher->steps - before);
  switch (match) {
  case KAD_MATCH_UNFINISHED:
    lua_pushboolean(L, 0);
    return 1;
  case KAD_MATCH_FOUND:
    lua_pushinteger(L, (lua_Integer)matcher->start + 1);
    lua_pushinteger(L, (lua_Integer)matcher->place + 1);
    return 2;
  case KAD_MATCH_NOTHING:
    lua_pushnil(L);
    return 1;
  case KAD_MATCH_MALFORMED:
    return raise(L, matcher->problem, matcher->index);
  }
  return 0;
}

/* Pushes a capture; the whole match for the first one, if there is none. */
static void push_capture(lua_State *L, const struct kad_matcher *matcher,
                         unsigned index) {
  if (index >= matcher->capture_count) {
    if (index > 0) {
      raise(L, "invalid capture index", index + 1);
    }
    lua_pushlstring(L, matcher->subject + matcher->start,
                    matcher->place - matcher->start);
    return;
  }
  const struct kad_capture *const capture = &matcher->captures[index];
  switch (capture->state) {
  case KAD_CAPTURE_OPEN:
    raise(L, "unfinished capture", 0);
    break;
  case KAD_CAPTURE_TEXT:
    lua_pushlstring(L, matcher->subject + capture->start, capture->len);
    break;
  case KAD_CAPTURE_POSITION:
    lua_pushinteger(L, (lua_Integer)capture->start + 1);
    break;
  }
}

/* captures(matcher, whole) → the captures of the match; the whole match if
 * there are none and `whole` is true */
static int captures(lua_State *L) {
  const struct kad_matcher *const matcher = check_matcher(L);
  const bool whole = matcher->capture_count == 0 && lua_toboolean(L, 2);
  const unsigned count = whole ? 1 : matcher->capture_count;
  luaL_checkstack(L, (int)count, "too many captures");
  for (unsigned i = 0; i < count; i++) {
    push_capture(L, matcher, i);
  }
  return (int)count;
}

/* capture(matcher, index) → a capture, which counts from 1 */
static int capture(lua_State *L) {
  const struct kad_matcher *const matcher = check_matcher(L);
  push_capture(L, matcher, (unsigned)luaL_checkinteger(L, 2) - 1);
  return 1;
}

/* find_plain(subject, text, start) → the first byte of the text and its last,
 * or nil. memmem takes time that grows with the length of both. */
static int find_plain(lua_State *L) {
  size_t subject_len = 0;
  size_t len = 0;
  const char *const subject = luaL_checklstring(L, 1, &subject_len);
  const char *const text = luaL_checklstring(L, 2, &len);
  const lua_Integer start = luaL_checkinteger(L, 3);
  luaL_argcheck(L, start >= 1 && (size_t)start <= subject_len + 1, 3,
                "outside of the subject");
  charge(L, (subject_len + len) / SEARCHED);
  const size_t skipped = (size_t)start - 1;
  const char *const found =
      memmem(subject + skipped, subject_len - skipped, text, len);
  if (found == NULL) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, (lua_Integer)(found - subject) + 1);
  lua_pushinteger(L, (lua_Integer)(found - subject) + (lua_Integer)len);
  return 2;
}

void kad_pattern_add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new", new_matcher},   {"begin", begin},     {"advance", advance},
      {"captures", captures}, {"capture", capture}, {"find_plain", find_plain},
      {NULL, NULL},
  };
  luaL_newmetatable(L, type_name);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "pattern");
}
