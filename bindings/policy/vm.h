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

/* log(level, message, name, value, …): calls the log of the parent, for at most
 * 200 lines of a node in 10 s; more are counted and dropped. */
int kad_vm_log(lua_State *L);

/* -------------------------------------------------------------- memory -- */

/* The memory is capped: a script that uses it up is killed, and the rest of the
 * process keeps its memory. */

/* A lua_Alloc; `state` is the host. Blocks over the limit are refused. */
void *kad_vm_heap_allocate(void *state, void *old, size_t old_size,
                           size_t new_size);

/* Called after an entry: collects its garbage if it was killed for memory, and
 * sets the collector of a VM by how full its memory is. [-0, +0, m] */
void kad_vm_heap_end_entry(struct kad_host *host);

/* ------------------------------------------------------------- modules -- */

/* A searcher of `require`: finds the module sources of the VM. [-0, +1|2, m] */
int kad_vm_module_search(lua_State *L);

/* Opens `kadenza.core` of VMs: the functions that are safe, and those that
 * kadenza's own modules in a VM need. [-0, +1, m] */
int kad_vm_module_open(lua_State *L);

#endif
