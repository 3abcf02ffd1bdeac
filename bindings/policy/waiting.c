/* waiting.c: hooks that wait. Their coroutine is a task of kadenza.task, which
 * resumes it, until it ends or nobody wants its answer any more. */
#include "policy/hook.h"

/* Where kad_hook_ended has what the hook returned: behind its own arguments,
 * and what lay below the hook on the coroutine's stack, which ends with it. */
enum {
  OUTCOME = 7 + KAD_RUNNER_BASE
};

/* What a hook that waits has yielded. */
struct suspension {
  struct kad_runner *runner;
  int yielded;
};

static void keep_view(lua_State *L, struct kad_view *view) {
  if (view != NULL) {
    kad_view_keep(L, view);
  }
}

/* Keeps copies of what the views show, and hands the coroutine over to the
 * scheduler: suspended(thread, call_id, yielded…). [-0, +0, e] */
static int suspend_body(lua_State *L) {
  const struct suspension *const suspension = lua_touserdata(L, 1);
  struct kad_runner *const runner = suspension->runner;
  keep_view(L, runner->subject);
  keep_view(L, runner->context);
  runner->call = NULL;
  kad_hook_push_function(L, runner->host, "suspended");
  lua_rawgetp(L, LUA_REGISTRYINDEX, runner);
  lua_pushinteger(L, (lua_Integer)runner->call_id);
  luaL_checkstack(L, suspension->yielded, NULL);
  lua_xmove(runner->thread, L, suspension->yielded);
  lua_call(L, suspension->yielded + 2, 0);
  return 0;
}

void kad_hook_suspend(struct kad_runner *runner, int yielded,
                      struct kad_hook_result *answer) {
  struct suspension suspension = {.runner = runner, .yielded = yielded};
  struct kad_lua_hook *const hook = runner->hook;
  runner->held = true;
  runner->call_id = runner->call->call_id;
  hook->preempted += yielded == 0;
  hook->yields += yielded > 0;
  answer->verdict = KAD_VERDICT_PENDING;
  answer->deadline_ms = hook->deadline_ms;
  const int status = kad_lua_protect(hook->host->L, suspend_body, &suspension,
                                     kad_hook_ignore);
  if (!runner->held) { /* it has ended, and answered */
    kad_runner_free(runner);
    return;
  }
  runner->held = false;
  if (status != LUA_OK) {
    answer->verdict = KAD_VERDICT_FAILED;
    kad_runner_lose(runner);
    kad_hook_report(
        (struct kad_failure){.hook = hook, .text = "out of memory"});
  }
}

/* Reads what a hook returned, the last arguments of kad_hook_ended.
 * What the answer borrows is left at the top. [-0, +n, m] */
static void read_outcome(lua_State *L, struct kad_runner *runner) {
  const int count = lua_gettop(L) - OUTCOME + 1;
  luaL_checkstack(L, count + 10, NULL);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, OUTCOME + i);
  }
  if (kad_hook_read(L, runner, count) != LUA_OK) {
    runner->answer = (struct kad_hook_result){.verdict = KAD_VERDICT_FAILED};
    kad_hook_report((struct kad_failure){.hook = runner->hook,
                                         .text = lua_tostring(L, -1)});
  }
}

/* Reads and counts what has become of a hook that waited; see kad_hook_ended.
 * What the answer borrows is left at the top. [-0, +n, v] */
static void read_end(lua_State *L, struct kad_runner *runner) {
  runner->answer = (struct kad_hook_result){.verdict = KAD_VERDICT_FAILED};
  const lua_Integer ns = luaL_checkinteger(L, 5);
  kad_hook_count_time(runner->hook, runner->ns + (uint64_t)ns);
  runner->hook->instructions += (uint64_t)luaL_checkinteger(L, 6);
  if (lua_toboolean(L, 2)) {
    read_outcome(L, runner);
  } else if (lua_isstring(L, 3)) {
    runner->hook->overruns += (uint64_t)lua_toboolean(L, 4);
    kad_hook_report(
        (struct kad_failure){.hook = runner->hook, .text = lua_tostring(L, 3)});
  }
}

/* Gives what the hook has said to who has asked. */
static void give_answer(const struct kad_runner *runner) {
  const struct kad_lua_link *const link = runner->host->node;
  const struct kad_hook_result answer = runner->answer;
  if (runner->call_id == runner->host->asked) {
    kad_host_answered(runner->hook, &answer);
  } else if (link->node != NULL) {
    (void)kad_node_complete_hook(link->node, runner->call_id, &answer);
  }
}

/* ended(runner, done, problem, overrun, nanoseconds, instructions, result...) →
 * call_id: the task of a hook that had waited has ended. `problem` is nil when
 * there is nothing to say. */
int kad_hook_ended(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_argexpected(L, runner != NULL, 1, "runner");
  if (!runner->lost) { /* that call has been answered */
    read_end(L, runner);
    give_answer(runner);
  }
  lua_pushinteger(L, (lua_Integer)runner->call_id);
  kad_runner_free(runner);
  return 1;
}

/* problem(runner) → why the hook that waits is to end, if it is its fault, and
 * whether that is an overrun */
int kad_hook_problem(lua_State *L) {
  const struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_argexpected(L, runner != NULL, 1, "runner");
  const struct kad_host *const host = runner->host;
  const struct kad_node *const node = host->node->node;
  struct kad_stats stats = {0};
  if (node == NULL) {
    return 0;
  }
  if (kad_hook_now(host) - runner->began >= runner->hook->deadline_ms) {
    lua_pushliteral(L, "did not answer before its deadline");
    lua_pushboolean(L, 1);
    return 2;
  }
  kad_node_stats(node, &stats);
  if (stats.pending_hooks >= kad_node_config(node)->max_pending_hooks) {
    lua_pushliteral(L, "cannot wait: too many hooks do");
    lua_pushboolean(L, 0);
    return 2;
  }
  return 0;
}

/* A hook whose answer nobody waits for. */
struct abandoned {
  const struct kad_host *host;
  uint64_t call_id;
};

/* cancel(call_id) [-0, +0, e] */
static int abandon_body(lua_State *L) {
  const struct abandoned *const abandoned = lua_touserdata(L, 1);
  kad_hook_push_function(L, abandoned->host, "cancel");
  lua_pushinteger(L, (lua_Integer)abandoned->call_id);
  lua_call(L, 1, 0);
  return 0;
}

void kad_hook_abandon(struct kad_host *host, uint64_t call_id) {
  struct abandoned abandoned = {.host = host, .call_id = call_id};
  struct kad_meter_entry entry;
  if (host->L == NULL || host->stopped) {
    return;
  }
  if (host->owns_state) {
    kad_meter_enter(host->L, host->meter, &entry);
    entry.own = true;
  }
  (void)kad_lua_protect(host->L, abandon_body, &abandoned, kad_hook_ignore);
  if (host->owns_state) {
    kad_meter_leave(host->meter);
  }
}
