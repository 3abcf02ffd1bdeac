/* Tested by tests/spec/cli/repl_spec.lua. */
#include "edit/line_editor.h"

#include <lauxlib.h>

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define EDITOR "kadenza.LineEditor"

enum {
  HISTORY_MAX = 1000, /* lines */
  PROMPT_SIZE = 32    /* bytes */
};

/* An editor; its function for completion is its user value. */
struct editor {
  EditLine *line; /* NULL: closed */
  History *history;
  lua_State *L; /* that reads a line; NULL: none */
  int self;     /* the place of the editor on its stack */
  bool is_abandoned;
  char prompt[PROMPT_SIZE];
};

static struct editor *editor_of(EditLine *line) {
  void *data = NULL;
  (void)el_get(line, EL_CLIENTDATA, &data);
  return data;
}

static char *prompt_of(EditLine *line) {
  return editor_of(line)->prompt;
}

/* ------------------------------------------------------------ completion -- */

/* Returns how many bytes the strings of the list at `index` share at their
 * start. [-0, +0, m] */
static size_t shared_start(lua_State *L, int index) {
  size_t shared = 0;
  const lua_Integer count = luaL_len(L, index);
  lua_rawgeti(L, index, 1);
  const char *const first = luaL_checklstring(L, -1, &shared);
  for (lua_Integer i = 2; i <= count; i++) {
    lua_rawgeti(L, index, i);
    const char *const word = luaL_checkstring(L, -1);
    size_t same = 0;
    while (same < shared && first[same] == word[same]) {
      same++;
    }
    shared = same;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return shared;
}

/* Prints the words of the list at `index` below the line. [-0, +0, m] */
static void print_words(lua_State *L, int index) {
  const lua_Integer count = luaL_len(L, index);
  fputc('\n', stdout);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    fprintf(stdout, "%s%s", luaL_checkstring(L, -1), i < count ? "  " : "\n");
    lua_pop(L, 1);
  }
  (void)fflush(stdout);
}

/* complete(editor): calls its function with the text before the cursor, which
 * returns a list of words and where in the text they begin. Returns what the
 * line editor has to do. [-0, +1, e] */
static int complete_body(lua_State *L) {
  struct editor *const self = lua_touserdata(L, 1);
  const LineInfo *const info = el_line(self->line);
  const size_t before = (size_t)(info->cursor - info->buffer);
  (void)lua_getiuservalue(L, 1, 1);
  lua_pushlstring(L, info->buffer, before);
  lua_call(L, 1, 2);
  const lua_Integer start = luaL_optinteger(L, 3, (lua_Integer)before + 1);
  if (!lua_istable(L, 2) || luaL_len(L, 2) == 0 || start < 1 ||
      (size_t)start > before + 1) {
    lua_pushinteger(L, CC_REFRESH_BEEP);
    return 1;
  }
  const size_t typed = before - (size_t)start + 1;
  const size_t shared = shared_start(L, 2);
  int outcome = CC_REFRESH;
  if (shared > typed) {
    lua_rawgeti(L, 2, 1);
    lua_pushlstring(L, lua_tostring(L, -1), shared);
    el_deletestr(self->line, (int)typed);
    (void)el_insertstr(self->line, lua_tostring(L, -1));
  } else if (luaL_len(L, 2) > 1) {
    print_words(L, 2);
    outcome = CC_REDISPLAY;
  }
  lua_pushinteger(L, outcome);
  return 1;
}

/* The function of the Tab key. */
static unsigned char complete(EditLine *line, int key) {
  const struct editor *const self = editor_of(line);
  lua_State *const L = self->L;
  int outcome = CC_REFRESH_BEEP;
  (void)key;
  if (!lua_checkstack(L, 4)) {
    return CC_REFRESH_BEEP;
  }
  lua_pushcfunction(L, complete_body);
  lua_pushvalue(L, self->self);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
    outcome = (int)lua_tointeger(L, -1);
  }
  lua_pop(L, 1);
  return (unsigned char)outcome;
}

/* The function of Ctrl-C: gives the line up. */
static unsigned char abandon(EditLine *line, int key) {
  (void)key;
  editor_of(line)->is_abandoned = true;
  fputs("^C\n", stdout);
  return CC_NEWLINE;
}

/* The function of Ctrl-Z. The line editor has a handler of this signal, which
 * gives the terminal back and takes it again. */
static unsigned char suspend(EditLine *line, int key) {
  (void)line;
  (void)key;
  (void)raise(SIGTSTP);
  return CC_REFRESH;
}

/* --------------------------------------------------------------- editing -- */

static void close_editor(struct editor *self) {
  if (self->history != NULL) {
    history_end(self->history);
    self->history = NULL;
  }
  if (self->line != NULL) {
    el_end(self->line);
    self->line = NULL;
  }
}

/* Sets the editor up: keys of Emacs, unless ~/.editrc says otherwise. */
static void configure(struct editor *self) {
  HistEvent event;
  EditLine *const line = self->line;
  (void)el_set(line, EL_CLIENTDATA, self);
  (void)el_set(line, EL_PROMPT, prompt_of);
  (void)el_set(line, EL_SIGNAL, 1);
  (void)el_set(line, EL_EDITOR, "emacs");
  (void)el_set(line, EL_HIST, history, self->history);
  (void)history(self->history, &event, H_SETSIZE, HISTORY_MAX);
  (void)history(self->history, &event, H_SETUNIQUE, 1);
  (void)el_source(line, NULL);
  (void)el_set(line, EL_ADDFN, "kadenza-complete", "Complete a name", complete);
  (void)el_set(line, EL_BIND, "^I", "kadenza-complete", NULL);
  (void)el_set(line, EL_ADDFN, "kadenza-abandon", "Give the line up", abandon);
  (void)el_set(line, EL_BIND, "^C", "kadenza-abandon", NULL);
  (void)el_set(line, EL_ADDFN, "kadenza-suspend", "Stop the program", suspend);
  (void)el_set(line, EL_BIND, "^Z", "kadenza-suspend", NULL);
  (void)el_set(line, EL_SETTY, "-d", "-isig", NULL); /* these are keys */
}

/* open(complete) → editor, or nil and a message. Edits lines on standard input
 * and output, which are terminals. `complete(text)` returns words for the end
 * of a text, and the place where they begin. */
static int open_editor(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct editor *const self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (struct editor){.line = NULL};
  luaL_setmetatable(L, EDITOR);
  lua_pushvalue(L, 1);
  (void)lua_setiuservalue(L, -2, 1);
  (void)setlocale(LC_CTYPE, ""); /* which bytes are one character */
  self->history = history_init();
  self->line = el_init("kadenza", stdin, stdout, stderr);
  if (self->line == NULL || self->history == NULL) {
    close_editor(self);
    lua_pushnil(L);
    lua_pushliteral(L, "the line editor cannot use this terminal");
    return 2;
  }
  configure(self);
  return 1;
}

static struct editor *check_editor(lua_State *L) {
  struct editor *const self = luaL_checkudata(L, 1, EDITOR);
  luaL_argcheck(L, self->line != NULL && self->L == NULL, 1,
                "closed editor, or one that reads");
  return self;
}

/* editor:read(prompt) → line; false if it was given up; nil at the end */
static int editor_read(lua_State *L) {
  struct editor *const self = check_editor(L);
  size_t len = 0;
  int count = 0;
  const char *const prompt = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len < PROMPT_SIZE, 2, "too long");
  memcpy(self->prompt, prompt, len + 1);
  self->is_abandoned = false;
  self->L = L;
  self->self = 1;
  errno = 0;
  const char *const text = el_gets(self->line, &count);
  self->L = NULL;
  if (self->is_abandoned || (count < 0 && errno == EINTR)) {
    lua_pushboolean(L, 0);
  } else if (text == NULL || count <= 0) {
    lua_pushnil(L);
  } else {
    const size_t size = (size_t)count;
    lua_pushlstring(L, text, text[size - 1] == '\n' ? size - 1 : size);
  }
  return 1;
}

/* editor:add(line): adds a line to the history */
static int editor_add(lua_State *L) {
  HistEvent event;
  const struct editor *const self = check_editor(L);
  (void)history(self->history, &event, H_ENTER, luaL_checkstring(L, 2));
  return 0;
}

/* editor:close(): gives the terminal back. May be repeated. */
static int editor_close(lua_State *L) {
  close_editor(luaL_checkudata(L, 1, EDITOR));
  return 0;
}

int luaopen_kadenza_line_editor(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", open_editor}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"read", editor_read},
      {"add", editor_add},
      {"close", editor_close},
      {NULL, NULL},
  };
  if (luaL_newmetatable(L, EDITOR)) {
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, editor_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, editor_close);
    lua_setfield(L, -2, "__close");
  }
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
