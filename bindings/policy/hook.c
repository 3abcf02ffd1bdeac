/* hook.c: asks the hooks of scripts.
 *
 * A hook that does not wait runs on a coroutine that is used again and again,
 * and sees views that are, too: nothing is allocated but what the script reads.
 * Strings in an answer live on that coroutine's stack until its next use; the
 * engine copies them before it asks anything else. */
#include "policy/hook.h"

enum {
  TIMED_ALL = 256,  /* calls that are all timed; then … */
  TIMED_EVERY = 16, /* … one in so many */
  NS_PER_US = 1000
};

/* -------------------------------------------------------------- arguments --
 */

/* Tells whether what the hook is about is a view and no table. */
static bool has_view(enum kad_hook_kind kind) {
  switch (kind) {
  case KAD_HOOK_MERGE:
  case KAD_HOOK_SELECT:
  case KAD_HOOK_CONTACT:
    return false;
  case KAD_HOOK_REQUEST:
  case KAD_HOOK_RPC:
  case KAD_HOOK_VALIDATE:
  case KAD_HOOK_EXPIRE:
  case KAD_HOOK_REPUBLISH:
  case KAD_HOOK_TOLD:
    return true;
  case KAD_HOOK_CODEC:
    break;
  }
  return false;
}

/* What refill_body needs. */
struct shortage {
  struct kad_views *views;
  enum kad_view_kind kind;
};

static int refill_body(lua_State *L) {
  const struct shortage *const shortage = lua_touserdata(L, 1);
  kad_views_refill(L, shortage->views, shortage->kind);
  return 0;
}

/* Pushes a view for this call; nil when memory ends. [-0, +1, -] */
static struct kad_view *push_view(lua_State *L, const struct kad_runner *runner,
                                  enum kad_view_kind kind) {
  const struct kad_host *const host = runner->host;
  struct kad_view *view = kad_views_take(host->views, kind);
  if (view == NULL) {
    struct shortage shortage = {.views = host->views, .kind = kind};
    if (kad_lua_protect(host->L, refill_body, &shortage, kad_hook_ignore) !=
        LUA_OK) {
      lua_pushnil(L);
      return NULL;
    }
    view = kad_views_take(host->views, kind);
  }
  view->bits = host->bits;
  view->node_key = &host->L;
  lua_rawgeti(L, KAD_RUNNER_VIEWS, view->place);
  return view;
}

/* Pushes the view of what the hook is about. Returns false when memory ends.
 * [-0, +1, -] */
static bool push_subject(lua_State *L, struct kad_runner *runner) {
  const struct kad_hook_call *const call = runner->call;
  const bool is_record = runner->hook->kind != KAD_HOOK_REQUEST &&
                         runner->hook->kind != KAD_HOOK_RPC;
  struct kad_view *const view =
      push_view(L, runner, is_record ? KAD_VIEW_RECORD : KAD_VIEW_REQUEST);
  runner->subject = view;
  if (view == NULL) {
    return false;
  }
  if (is_record) {
    view->subject.record = call->record;
  } else {
    view->subject.request = call->request;
  }
  return true;
}

/* Pushes the held records as a list of tables. [-0, +1, m] */
static void push_held(lua_State *L, const struct kad_runner *runner) {
  const struct kad_hook_call *const call = runner->call;
  lua_createtable(L, (int)call->held_count, 0);
  for (size_t i = 0; i < call->held_count; i++) {
    kad_lua_push_record(L, &call->held[i], runner->host->bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* make(runner): returns what the hook is about, where that is a table. */
static int make_table(lua_State *L) {
  const struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_checkstack(L, 10, NULL);
  if (runner->hook->kind == KAD_HOOK_CONTACT) {
    kad_lua_push_contact(L, &runner->call->from, runner->host->bits);
  } else {
    push_held(L, runner);
  }
  return 1;
}

/* Pushes the arguments of the hook, the context last, if it takes that. Returns
 * their number, or -1 with an error at the top. [-0, +n, -] */
static int push_arguments(lua_State *L, struct kad_runner *runner) {
  int count = 0;
  bool fine = true;
  if (!has_view(runner->hook->kind)) {
    lua_pushcfunction(L, make_table);
    lua_pushlightuserdata(L, runner);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      return -1;
    }
    count++;
  }
  if (has_view(runner->hook->kind) || runner->hook->kind == KAD_HOOK_MERGE) {
    fine = push_subject(L, runner);
    count++;
  }
  if (fine && runner->hook->arguments > count) {
    runner->context = push_view(L, runner, KAD_VIEW_CONTEXT);
    fine = runner->context != NULL;
    count++;
    if (fine) {
      runner->context->subject.call = runner->call;
    }
  }
  return fine ? count : -1;
}

/* ---------------------------------------------------------------- verdicts --
 */

/* Tells whether the `count` values at the top say no more than yes, as most do.
 */
static bool is_plain_yes(lua_State *L, enum kad_hook_kind kind, int count) {
  switch (kind) {
  case KAD_HOOK_VALIDATE:
  case KAD_HOOK_REQUEST:
  case KAD_HOOK_CONTACT:
    return count > 0 && lua_type(L, -count) == LUA_TBOOLEAN &&
           lua_toboolean(L, -count);
  case KAD_HOOK_TOLD:
    return true;
  case KAD_HOOK_MERGE:
  case KAD_HOOK_SELECT:
  case KAD_HOOK_EXPIRE:
  case KAD_HOOK_REPUBLISH:
  case KAD_HOOK_RPC:
  case KAD_HOOK_CODEC:
    return false;
  }
  return false;
}

/* read(…, runner): reads all but the last argument. */
static int read_body(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, 10, NULL);
  kad_verdict_read(L, runner, lua_gettop(L));
  return lua_gettop(L);
}

int kad_hook_read(lua_State *L, struct kad_runner *runner, int count) {
  if (is_plain_yes(L, runner->hook->kind, count)) {
    runner->answer = (struct kad_hook_result){.verdict = KAD_VERDICT_ACCEPT};
    return LUA_OK;
  }
  if (!lua_checkstack(L, 2)) {
    lua_settop(L, -count - 1);
    lua_pushnil(L);
    return LUA_ERRMEM;
  }
  lua_pushcfunction(L, read_body);
  lua_insert(L, -count - 1);
  lua_pushlightuserdata(L, runner);
  return lua_pcall(L, count + 1, LUA_MULTRET, 0);
}

/* ------------------------------------------------------------------- time --
 */

uint64_t kad_hook_weight(const struct kad_lua_hook *hook) {
  if (hook->calls <= TIMED_ALL) {
    return 1;
  }
  return hook->calls % TIMED_EVERY == 0 ? TIMED_EVERY : 0;
}

void kad_hook_add_time(struct kad_lua_hook *hook, uint64_t ns,
                       uint64_t weight) {
  size_t bucket = 0;
  uint64_t us = ns / NS_PER_US;
  while (us > 0 && bucket < KAD_HOOK_TIMES - 1) {
    us >>= 1;
    bucket++;
  }
  hook->times[bucket] += weight;
  hook->ns += ns * weight;
  hook->slowest_ns = ns > hook->slowest_ns ? ns : hook->slowest_ns;
}

void kad_hook_count_time(struct kad_lua_hook *hook, uint64_t ns) {
  kad_hook_add_time(hook, ns, 1);
}

/* ---------------------------------------------------------------- running --
 */

/* Closes the `<close>` variables of a hook that has raised. */
static void close_variables(struct kad_runner *runner) {
  struct kad_host *const host = runner->host;
  struct kad_meter_entry entry;
  int status = LUA_OK;
  kad_meter_enter(runner->thread, host->meter, &entry);
  (void)kad_meter_reset(host->meter, runner->thread, &status);
  kad_meter_leave(host->meter);
}

/* Ends a hook that has failed. The coroutine is not used again: one that was
 * killed may not run its `<close>` variables either. */
static void fail_hook(struct kad_runner *runner, int status,
                      const struct kad_meter_entry *entry,
                      struct kad_hook_result *answer) {
  const bool starved = status == LUA_ERRMEM && !entry->killed;
  answer->verdict = KAD_VERDICT_FAILED;
  runner->hook->overruns += entry->killed;
  kad_hook_report((struct kad_failure){
      .hook = runner->hook,
      .thread = starved ? NULL : runner->thread,
      .text = "out of memory",
      .killed = entry->killed ? entry : NULL,
  });
  if (!entry->killed) {
    close_variables(runner);
  }
  kad_runner_free(runner);
}

/* Resumes the hook, and reads what it returns. Returns a LUA_… status: of one
 * that yields, `*yielded` values are at the top. */
static int resume(struct kad_runner *runner, struct kad_meter_entry *entry,
                  int *yielded) {
  struct kad_host *const host = runner->host;
  lua_State *const thread = runner->thread;
  const lua_Integer slot = runner->hook - host->hooks + 1;
  int status = LUA_ERRMEM;
  kad_meter_enter(thread, host->meter, entry);
  entry->may_pause = true;
  lua_rawgeti(thread, KAD_RUNNER_HOOKS, slot);
  const int arguments = push_arguments(thread, runner);
  if (arguments >= 0) {
    status = lua_resume(thread, host->L, arguments, yielded);
  }
  if (status == LUA_OK) {
    status =
        kad_hook_read(thread, runner, lua_gettop(thread) - KAD_RUNNER_BASE);
  }
  kad_meter_leave(host->meter);
  runner->hook->instructions +=
      entry->use.instructions + kad_meter_unseen(thread);
  return status;
}

static void run_hook(struct kad_runner *runner,
                     struct kad_hook_result *answer) {
  struct kad_lua_hook *const hook = runner->hook;
  struct kad_meter_entry entry;
  int yielded = 0;
  const uint64_t weight = kad_hook_weight(hook);
  const uint64_t begun = weight > 0 ? kad_meter_clock_ns() : 0;
  const int status = resume(runner, &entry, &yielded);
  const uint64_t ns = weight > 0 ? kad_meter_clock_ns() - begun : 0;
  if (status == LUA_YIELD && !entry.killed) {
    runner->ns = ns;
    kad_hook_suspend(runner, yielded, answer);
    return;
  }
  if (weight > 0) {
    kad_hook_add_time(hook, ns, weight);
  }
  if (status != LUA_OK) {
    fail_hook(runner, status, &entry, answer);
    return;
  }
  *answer = runner->answer;
  kad_runner_give(runner);
  if (entry.squeezed) {
    kad_hook_report((struct kad_failure){
        .hook = hook,
        .text = "the policies' memory is full: garbage had to be collected for "
                "it to go on",
    });
  }
}

void kad_hook_complete(void *state, const struct kad_hook_call *call,
                       struct kad_hook_result *answer) {
  struct kad_lua_hook *const hook = state;
  struct kad_host *const host = hook->host;
  answer->verdict = KAD_VERDICT_FAILED;
  if (host->L == NULL || host->stopped || kad_hook_is_suspended(hook)) {
    return;
  }
  hook->calls++;
  struct kad_runner *const runner = kad_runner_take(host);
  if (runner == NULL) {
    kad_hook_report(
        (struct kad_failure){.hook = hook, .text = "out of memory"});
    return;
  }
  if (host->node->network != NULL) {
    kad_meter_turn(host->meter, host->node->network);
  }
  lua_settop(runner->thread, KAD_RUNNER_BASE);
  runner->hook = hook;
  runner->began = call->now;
  runner->call = call;
  run_hook(runner, answer);
  kad_meter_collect(host->L, host->meter);
  if (host->owns_state) {
    kad_vm_pace(host);
  }
}

void kad_hook_set_up(lua_State *L, struct kad_host *host, int index) {
  host->views = kad_views_of(L);
  lua_pushvalue(L, index);
  lua_pushcfunction(L, kad_hook_ended);
  lua_setfield(L, -2, "ended");
  lua_pushcfunction(L, kad_hook_problem);
  lua_setfield(L, -2, "problem");
  kad_meter_add_functions(L);
  lua_getfield(L, -1, "node");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, host);
}
