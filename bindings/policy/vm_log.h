/* vm_log.h: what a VM writes to the log, which is a function of the parent. */
#ifndef KAD_POLICY_VM_LOG_H
#define KAD_POLICY_VM_LOG_H

#include "policy/host.h"

/* log(level, message, name, value, …): calls the log of the parent. The
 * policies of a node write at most 200 lines in 10 s; more are counted and
 * dropped. */
int kad_vm_log(lua_State *L);

/* Writes that the host is stopped because it is out of memory too often. */
void kad_vm_log_stopped(struct kad_host *host);

/* A kad_lua_report_fn: writes errors to standard error, as the last resort; not
 * those for memory, which are counted elsewhere. */
void kad_vm_report_error(lua_State *L, int status);

#endif
