#include "policy/hook.h"
#include "policy/verdict.h"

/* The index of the first result among the arguments of kad_hook_pending_ended.
 * The scheduler passes the whole stack of the coroutine, which ends with the
 * hook: before the results are the KAD_RUNNER_BASE values below the hook. */
enum {
  FIRST_RESULT = 7 + KAD_RUNNER_BASE
};

/* What a pending hook has yielded. */
struct suspension {
  struct kad_runner *runner;
  int yielded;
};

/* Copies what the views show, and hands the coroutine to the scheduler:
 * suspended(thread, call_id, yielded…). [-0, +0, e] */
static int hand_to_scheduler(lua_State *L) {
  const struct suspension *const suspension = lua_touserdata(L, 1);
  struct kad_runner *const runner = suspension->runner;
  kad_view_copy_subject(L, runner->subject);
  kad_view_copy_subject(L, runner->context);
  runner->call = NULL;
  kad_host_push_field(L, runner->host, "take_over");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &runner->thread_key);
  lua_pushinteger(L, (lua_Integer)runner->call_id);
  luaL_checkstack(L, suspension->yielded, NULL);
  lua_xmove(runner->thread, L, suspension->yielded);
  lua_call(L, suspension->yielded + 2, 0);
  return 0;
}

void kad_hook_pending_begin(struct kad_runner *runner, int yielded,
                            struct kad_hook_result *result) {
  struct suspension suspension = {.runner = runner, .yielded = yielded};
  struct kad_hook *const hook = runner->hook;
  runner->in_handover = true;
  runner->call_id = runner->call->call_id;
  hook->preempted += yielded == 0;
  hook->yields += yielded > 0;
  result->verdict = KAD_VERDICT_PENDING;
  result->deadline_ms = hook->deadline_ms;
  const int status = kad_lua_protect(hook->host->L, hand_to_scheduler,
                                     &suspension, kad_host_ignore_error);
  if (!runner->in_handover) { /* it has ended already, and completed the call */
    kad_runner_free(runner);
    return;
  }
  runner->in_handover = false;
  if (status != LUA_OK) {
    result->verdict = KAD_VERDICT_FAILED;
    kad_runner_abandon(runner);
    kad_hook_failure_report_text(hook, "out of memory");
  }
}

/* Reads what a hook returned, the last arguments of kad_hook_pending_ended.
 * Values that the result borrows are left at the top. [-0, +n, m] */
static void read_result(lua_State *L, struct kad_runner *runner) {
  const int count = lua_gettop(L) - FIRST_RESULT + 1;
  luaL_checkstack(L, count + 10, NULL);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, FIRST_RESULT + i);
  }
  if (kad_verdict_read(L, runner, count) != LUA_OK) {
    runner->result = (struct kad_hook_result){.verdict = KAD_VERDICT_FAILED};
    kad_hook_failure_report_error(runner->hook, L, -1);
  }
}

/* Reads and counts how a pending hook has ended; see kad_hook_pending_ended.
 * Values that the result borrows are left at the top. [-0, +n, v] */
static void read_end(lua_State *L, struct kad_runner *runner) {
  struct kad_hook *const hook = runner->hook;
  runner->result = (struct kad_hook_result){.verdict = KAD_VERDICT_FAILED};
  const lua_Integer ns = luaL_checkinteger(L, 5);
  kad_hook_add_time(hook, runner->ns + (uint64_t)ns, 1);
  hook->instructions += (uint64_t)luaL_checkinteger(L, 6);
  if (lua_toboolean(L, 2)) {
    read_result(L, runner);
  } else if (lua_isstring(L, 3)) {
    hook->overruns += (uint64_t)lua_toboolean(L, 4);
    kad_hook_failure_report_error(hook, L, 3);
  }
}

/* Gives the result to the probe, program or node that made the call. */
static void complete_call(const struct kad_runner *runner) {
  const struct kad_host *const host = runner->host;
  const struct kad_hook_result result = runner->result;
  if (runner->call_id == host->probe.call_id) {
    host->probe.done(runner->hook, &result);
  } else if (kad_host_is_served(host, runner->call_id)) {
    runner->host->served.done(runner->host, runner->call_id, &result);
  } else if (host->link->node != NULL) {
    (void)kad_node_complete_hook(host->link->node, runner->call_id, &result);
  }
}

int kad_hook_pending_ended(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_argexpected(L, runner != NULL, 1, "runner");
  if (!runner->handover_failed) { /* else the call has failed already */
    read_end(L, runner);
    complete_call(runner);
  }
  lua_pushinteger(L, (lua_Integer)runner->call_id);
  kad_runner_free(runner);
  return 1;
}

int kad_hook_pending_problem(lua_State *L) {
  const struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_argexpected(L, runner != NULL, 1, "runner");
  const struct kad_host *const host = runner->host;
  const struct kad_node *const node = host->link->node;
  struct kad_stats stats = {0};
  if (node == NULL) {
    return 0;
  }
  if (kad_host_now(host) - runner->call_started_at >=
      runner->hook->deadline_ms) {
    lua_pushliteral(L, "did not answer before its deadline");
    lua_pushboolean(L, 1);
    return 2;
  }
  kad_node_stats(node, &stats);
  if (stats.pending_hooks >= kad_node_config(node)->max_pending_hooks) {
    lua_pushliteral(L, "too many hooks are pending");
    lua_pushboolean(L, 0);
    return 2;
  }
  return 0;
}

struct cancellation {
  const struct kad_host *host;
  uint64_t call_id;
};

/* Calls cancel(call_id). [-0, +0, e] */
static int call_cancel(lua_State *L) {
  const struct cancellation *const cancellation = lua_touserdata(L, 1);
  kad_host_push_field(L, cancellation->host, "cancel");
  lua_pushinteger(L, (lua_Integer)cancellation->call_id);
  lua_call(L, 1, 0);
  return 0;
}

void kad_hook_pending_cancel(struct kad_host *host, uint64_t call_id) {
  struct cancellation cancellation = {.host = host, .call_id = call_id};
  if (host->L != NULL && !host->stopped) {
    (void)kad_host_protect(host, true, call_cancel, &cancellation,
                           kad_host_ignore_error);
  }
}
