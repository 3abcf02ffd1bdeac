#include "lua/record.h"
#include "lua/value.h"
#include "policy/hook.h"
#include "policy/verdict.h"
#include "policy/vm.h"

/* ------------------------------------------------------------ arguments -- */

enum view_argument {
  VIEW_ARGUMENT_NONE,
  VIEW_ARGUMENT_RECORD,
  VIEW_ARGUMENT_REQUEST
};

/* The arguments of each kind, before the context: a table, a view. */
static const struct {
  bool table; /* a contact, a list of records, or a packed request */
  enum view_argument view;
} arguments_of[] = {
    [KAD_HOOK_KIND_VALIDATE] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_MERGE] = {true, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_SELECT] = {true, VIEW_ARGUMENT_NONE},
    [KAD_HOOK_KIND_EXPIRE] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_REPUBLISH] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_NOTICE] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_REQUEST] = {false, VIEW_ARGUMENT_REQUEST},
    [KAD_HOOK_KIND_CONTACT] = {true, VIEW_ARGUMENT_NONE},
    [KAD_HOOK_KIND_RPC] = {false, VIEW_ARGUMENT_REQUEST},
    [KAD_HOOK_KIND_HTTP] = {true, VIEW_ARGUMENT_NONE},
    [KAD_HOOK_KIND_CODEC] = {false, VIEW_ARGUMENT_NONE},
};

/* The arguments of add_view. */
struct view_shortage {
  struct kad_views *views;
  enum kad_view_kind kind;
};

static int add_view(lua_State *L) {
  const struct view_shortage *const shortage = lua_touserdata(L, 1);
  kad_views_refill(L, shortage->views, shortage->kind);
  return 0;
}

/* Pushes a view of `subject`; nil when memory ends. [-0, +1, -] */
static struct kad_view *push_view(lua_State *L, const struct kad_runner *runner,
                                  enum kad_view_kind kind,
                                  const void *subject) {
  const struct kad_host *const host = runner->host;
  struct kad_view *view = kad_views_acquire(host->views, kind);
  if (view == NULL) {
    struct view_shortage shortage = {.views = host->views, .kind = kind};
    if (kad_lua_protect(host->L, add_view, &shortage, kad_host_ignore_error) !=
        LUA_OK) {
      lua_pushnil(L);
      return NULL;
    }
    view = kad_views_acquire(host->views, kind);
  }
  view->bits = host->bits;
  view->node_key = &host->keys.node;
  view->subject.any = subject;
  lua_rawgeti(L, KAD_RUNNER_VIEWS, view->place);
  return view;
}

/* make_table(runner) → a contact, a list of records, or a packed request */
static int make_table(lua_State *L) {
  const struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_checkstack(L, 10, NULL);
  if (runner->hook->kind == KAD_HOOK_KIND_CONTACT) {
    kad_lua_push_contact(L, &runner->call->from, runner->host->bits);
  } else if (runner->hook->kind == KAD_HOOK_KIND_HTTP) {
    kad_lua_push_slice(L, runner->call->request->args);
  } else {
    kad_lua_push_records(L, runner->call->held, runner->call->held_count,
                         runner->host->bits);
  }
  return 1;
}

/* Pushes the arguments of the hook, the context last if its function takes it.
 * Returns their number, or -1 when memory ends. [-0, +n, -] */
static int push_arguments(lua_State *L, struct kad_runner *runner) {
  const struct kad_hook_call *const call = runner->call;
  const enum view_argument view = arguments_of[runner->hook->kind].view;
  int count = 0;
  if (arguments_of[runner->hook->kind].table) {
    lua_pushcfunction(L, make_table);
    lua_pushlightuserdata(L, runner);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      return -1;
    }
    count++;
  }
  if (view != VIEW_ARGUMENT_NONE) {
    runner->subject =
        view == VIEW_ARGUMENT_RECORD
            ? push_view(L, runner, KAD_VIEW_KIND_RECORD, call->record)
            : push_view(L, runner, KAD_VIEW_KIND_REQUEST, call->request);
    if (runner->subject == NULL) {
      return -1;
    }
    count++;
  }
  if (runner->hook->arguments > count) {
    runner->context = push_view(L, runner, KAD_VIEW_KIND_CONTEXT, call);
    if (runner->context == NULL) {
      return -1;
    }
    count++;
  }
  return count;
}

/* -------------------------------------------------------------- running -- */

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
  result->verdict = KAD_VERDICT_FAILED;
  runner->hook->overruns += entry->killed;
  if (status == LUA_ERRMEM && !entry->killed) {
    kad_hook_failure_report_text(runner->hook, "out of memory");
  } else {
    kad_hook_failure_report((struct kad_hook_failure){
        .hook = runner->hook,
        .thread = runner->thread,
        .killed = entry->killed ? entry : NULL,
    });
  }
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
  const int arguments = push_arguments(thread, runner);
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
  runner->call_started_at = call->now;
  runner->call = call;
  run_call(runner, result);
  kad_vm_heap_end_entry(host);
}
