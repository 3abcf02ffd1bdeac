/* vm.h: the Lua state of a node's policy files.
 *
 * A VM has the parts of the standard library that reach nothing outside, and
 * kadenza's own modules, which the parent gives it as text. It reads only the
 * policy files from the disk. kadenza.sandbox says what of this scripts see. */
#ifndef KAD_POLICY_VM_H
#define KAD_POLICY_VM_H

#include "policy/host.h"

/* Makes the VM of `host`, with at most `host->memory_limit` bytes. Its
 * `require` finds the modules of the table at `sources` of `L` (name → text or
 * compiled code) and nothing else. Returns 0 or KAD_ENOMEM. [-0, +0, m] */
KAD_MUST_CHECK
int kad_vm_new(lua_State *L, int sources, struct kad_host *host);

/* log(level, message, name, value, …): calls the log of the parent. The
 * policies of a node write at most 200 lines in 10 s; more are counted and
 * dropped. */
int kad_vm_log(lua_State *L);

#endif
