/* node:histograms(): how long operations, replies and served stores take. */
#ifndef KAD_LUA_HISTOGRAM_H
#define KAD_LUA_HISTOGRAM_H

#include <lua.h>

/* node:histograms() → list of {subject, kind, outcome, counts, seconds}, where
 * counts[i] is the number of times under 2^(i-1) ms, and the last one that of
 * all longer ones */
int kad_lua_node_histograms(lua_State *L);

#endif
