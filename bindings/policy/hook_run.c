#include "policy/hook_run.h"

#include "policy/hook_arguments.h"
#include "policy/hook_failure.h"
#include "policy/hook_pending.h"
#include "policy/verdict.h"
#include "policy/vm_heap.h"

/* Closes the `<close>` variables of a hook that has raised. */
static void close_variables(const struct kad_runner *runner) {
  struct kad_host *const host = runner->host;
  struct kad_meter_entry entry;
  int status = LUA_OK;
  kad_meter_enter(runner->thread, host->meter, &entry);
  (void)kad_meter_reset(host->meter, runner->thread, &status);
  kad_meter_leave(host->meter);
}

/* Ends a hook that has failed. Its coroutine is not used again. When the entry
 * was killed, its `<close>` variables do not run. */
static void fail_hook(struct kad_runner *runner, int status,
                      const struct kad_meter_entry *entry,
                      struct kad_hook_result *result) {
  const bool out_of_memory = status == LUA_ERRMEM && !entry->killed;
  result->verdict = KAD_VERDICT_FAILED;
  runner->hook->overruns += entry->killed;
  kad_hook_failure_report((struct kad_hook_failure){
      .hook = runner->hook,
      .thread = out_of_memory ? NULL : runner->thread,
      .text = "out of memory",
      .killed = entry->killed ? entry : NULL,
  });
  if (!entry->killed) {
    close_variables(runner);
  }
  kad_runner_free(runner);
}

/* Calls the hook, and reads its result if it returns. Returns a LUA_… status;
 * of a hook that yields, `*yielded` values are at the top. */
static int call_hook(struct kad_runner *runner, struct kad_meter_entry *entry,
                     int *yielded) {
  struct kad_host *const host = runner->host;
  lua_State *const thread = runner->thread;
  const lua_Integer number = runner->hook - host->hooks + 1;
  int status = LUA_ERRMEM;
  kad_meter_enter(thread, host->meter, entry);
  entry->may_pause = true;
  lua_rawgeti(thread, KAD_RUNNER_HOOKS, number);
  const int arguments = kad_hook_arguments_push(thread, runner);
  if (arguments >= 0) {
    status = lua_resume(thread, host->L, arguments, yielded);
  }
  if (status == LUA_OK) {
    status =
        kad_verdict_read(thread, runner, lua_gettop(thread) - KAD_RUNNER_BASE);
  }
  kad_meter_leave(host->meter);
  runner->hook->instructions +=
      entry->use.instructions + kad_meter_unseen(thread);
  return status;
}

static void run_call(struct kad_runner *runner,
                     struct kad_hook_result *result) {
  struct kad_hook *const hook = runner->hook;
  struct kad_meter_entry entry;
  int yielded = 0;
  const uint64_t weight = kad_hook_time_weight(hook);
  const uint64_t begun = weight > 0 ? kad_meter_clock_ns() : 0;
  const int status = call_hook(runner, &entry, &yielded);
  const uint64_t ns = weight > 0 ? kad_meter_clock_ns() - begun : 0;
  if (status == LUA_YIELD && !entry.killed) {
    runner->ns = ns;
    kad_hook_pending_begin(runner, yielded, result);
    return;
  }
  if (weight > 0) {
    kad_hook_add_time(hook, ns, weight);
  }
  if (status != LUA_OK) {
    fail_hook(runner, status, &entry, result);
    return;
  }
  *result = runner->result;
  kad_runner_release(runner);
  if (entry.near_limit) {
    kad_hook_failure_report_text(
        hook,
        "the policies are near their memory limit: this call had to collect "
        "garbage");
  }
}

void kad_hook_run(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *result) {
  struct kad_hook *const hook = state;
  struct kad_host *const host = hook->host;
  result->verdict = KAD_VERDICT_FAILED;
  if (host->L == NULL || host->stopped ||
      kad_hook_failure_breaker_is_open(hook)) {
    return;
  }
  hook->calls++;
  struct kad_runner *const runner = kad_runner_acquire(host);
  if (runner == NULL) {
    kad_hook_failure_report_text(hook, "out of memory");
    return;
  }
  kad_host_begin_turn(host);
  lua_settop(runner->thread, KAD_RUNNER_BASE);
  runner->hook = hook;
  runner->began = call->now;
  runner->call = call;
  run_call(runner, result);
  kad_vm_heap_end_entry(host);
}
