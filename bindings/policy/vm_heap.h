/* vm_heap.h: the memory of a VM. It is capped: a script that uses it up is
 * killed, and the rest of the process keeps its memory. */
#ifndef KAD_POLICY_VM_HEAP_H
#define KAD_POLICY_VM_HEAP_H

#include "policy/host.h"

/* A lua_Alloc; `state` is the host. Blocks over the limit are refused. */
void *kad_vm_heap_allocate(void *state, void *old, size_t old_size,
                           size_t new_size);

/* Called after an entry: collects its garbage if it was killed for memory, and
 * sets the collector of a VM by how full its memory is. [-0, +0, m] */
void kad_vm_heap_end_entry(struct kad_host *host);

#endif
