/* line_editor.h: lines that a user types and edits on the terminal, with a
 * history and completion, by libedit. For the program only: `make EDIT=no`
 * leaves it out. */
#ifndef KAD_EDIT_LINE_EDITOR_H
#define KAD_EDIT_LINE_EDITOR_H

#include <lua.h>

/* Pushes the module kadenza.line_editor. [-0, +1, m] */
int luaopen_kadenza_line_editor(lua_State *L);

#endif
