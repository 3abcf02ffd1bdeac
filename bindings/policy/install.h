/* install.h: gives the node of a host the policies that a set-up describes.
 *
 * A set-up is a table that kadenza.policy.host composes of all policy files of
 * a node. It has
 *   hooks, names, deadlines, places   lists: functions, and what they are
 *   types, methods, http, codec       tables with the numbers of their hooks
 *   on_request, on_contact            numbers of hooks; nil: there is none
 *   deadline_ms                       integer
 *   adopt, take_over, cancel, report, clamped, save, restore, finish, start,
 *   stop, halt                        functions that C calls
 *   describe, routes, metrics, evaluate, interrupt, complete
 *                                     functions that the program asks
 *   node                              `ctx.node` of scripts */
#ifndef KAD_POLICY_INSTALL_H
#define KAD_POLICY_INSTALL_H

#include "policy/host.h"

struct kad_installation {
  struct kad_host *host;
  struct kad_policy policy; /* its arrays are userdata on the stack */
  int error;                /* 0 or KAD_E… */
  char problem[160];        /* what the user must mend; "": the error says it */
};

/* Installs the set-up at 2 in the node of the host, and adds to the set-up the
 * functions `ended` and `problem` and those of kad_metered_add_functions.
 * Leaves what `installation->policy` borrows on the stack. [-0, +n, e] */
void kad_policy_install(lua_State *L, struct kad_installation *installation);

#endif
