/* hook_probe.h: calls one hook with the arguments that a table describes, as
 * the engine would call it, and gives its result as a table. Tests of policies
 * use it.
 *
 * Such a call has a call_id that no node uses, so that the result of a pending
 * hook finds its way back. A host has one probe at a time. */
#ifndef KAD_POLICY_HOOK_PROBE_H
#define KAD_POLICY_HOOK_PROBE_H

#include "policy/hook.h"

/* handle:probe(number, call) → table: the result of the hook of that number;
 * nothing while it is pending. The call has record (with age), held, from (with
 * proven), reason, method and args. Each failure is reported, and no circuit
 * breaker opens. [-0, +0|1, v] */
int kad_hook_probe(lua_State *L, struct kad_host *host);

/* Pushes the result of the probe that was pending, or nil, and forgets it.
 * [-0, +1, m] */
void kad_hook_probe_take_result(lua_State *L, struct kad_host *host);

#endif
