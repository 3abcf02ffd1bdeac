/* vm_module.h: `require` and `kadenza.core` inside a VM. */
#ifndef KAD_POLICY_VM_MODULE_H
#define KAD_POLICY_VM_MODULE_H

#include <lua.h>

/* A searcher of `require`: finds the module sources of the VM. [-0, +1|2, m] */
int kad_vm_module_search(lua_State *L);

/* Opens `kadenza.core` of VMs: the functions that are safe, and those that
 * kadenza's own modules in a VM need. [-0, +1, m] */
int kad_vm_module_open(lua_State *L);

#endif
