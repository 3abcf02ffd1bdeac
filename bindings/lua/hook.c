/* hook.c: runs the hooks of scripts.
 *
 * A hook that does not wait runs on a coroutine that is used again and again:
 * nothing is allocated but its views and what the script reads.
 * Strings in an answer live on that coroutine's stack until its next use; the
 * engine copies them before it asks anything else. */
#include "policy.h"

#include <string.h>

/* Pushes the function `name` that kad_hook_set_up was given. [-0, +1, m] */
static void push_function(lua_State *L, const struct kad_host *host,
                          const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, host);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

static kad_time_ms now_of(const struct kad_host *host) {
  return host->node->network != NULL ? kad_network_now(host->node->network) : 0;
}

/* --------------------------------------------------------------- failures --
 */

/* Counts a failure, and opens the breaker when there were too many. Returns
 * true if it is to be said now. */
static bool count_failure(struct kad_lua_hook *hook, kad_time_ms now) {
  hook->errors++;
  if (now - hook->window_from >= KAD_BREAKER_WINDOW_MS) {
    hook->window_from = now;
    hook->recent = 0;
  }
  if (!hook->steady && ++hook->recent >= KAD_BREAKER_FAILURES) {
    hook->open_until = now + KAD_BREAKER_OPEN_MS;
    hook->recent = 0;
    return true;
  }
  if (hook->said_at != 0 && now - hook->said_at < KAD_REPORT_EVERY_MS) {
    hook->unsaid++;
    return false;
  }
  return true;
}

/* What report_failure needs of a failure. */
struct failure {
  struct kad_lua_hook *hook;
  lua_State *thread; /* whose top is the error; NULL: `text` says it */
  const char *text;
  const struct kad_meter_entry *killed; /* the thread was; or NULL */
};

/* Leaves in the registry what the error value at the top of the thread says of
 * itself, a string. [-0, +0, e] */
static int describe_body(lua_State *L) {
  const struct failure *const failure = lua_touserdata(L, 1);
  luaL_checkstack(failure->thread, 5, NULL);
  lua_pushvalue(failure->thread, -1);
  lua_xmove(failure->thread, L, 1);
  luaL_tolstring(L, -1, NULL);
  lua_rawsetp(L, LUA_REGISTRYINDEX, failure->hook);
  return 0;
}

static void ignore_report(lua_State *L, int status) {
  (void)L;
  (void)status;
}

/* Pushes the text of an error. One that is no string may have a __tostring,
 * which is a script's as the hook was: it has an entry of its own.
 * [-0, +1, m] */
static void push_error(lua_State *L, const struct failure *failure) {
  struct kad_meter *const meter = failure->hook->host->meter;
  struct kad_meter_entry entry;
  if (lua_type(failure->thread, -1) == LUA_TSTRING) {
    lua_pushstring(L, lua_tostring(failure->thread, -1));
    return;
  }
  lua_State *const shown = lua_newthread(L);
  kad_meter_enter(shown, meter, &entry);
  const int status =
      kad_lua_protect(shown, describe_body, (void *)failure, ignore_report);
  kad_meter_leave(meter);
  lua_pop(L, 1);
  if (status == LUA_OK) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, failure->hook);
  } else {
    lua_pushliteral(L, "an error that cannot be shown");
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, failure->hook);
}

void kad_hook_push_place(lua_State *L, const struct kad_lua_hook *hook) {
  lua_Debug at;
  push_function(L, hook->host, "hooks");
  lua_rawgeti(L, -1, hook - hook->host->hooks + 1);
  lua_remove(L, -2);
  if (!lua_isfunction(L, -1)) {
    return;
  }
  lua_getinfo(L, ">S", &at);
  lua_pushfstring(L, "%s:%d", at.short_src, at.linedefined);
}

/* Calls report(name, message, place, unsaid, breaker is open). [-0, +0, e] */
static int report_body(lua_State *L) {
  const struct failure *const failure = lua_touserdata(L, 1);
  const struct kad_lua_hook *const hook = failure->hook;
  push_function(L, hook->host, "report");
  lua_pushstring(L, hook->name);
  if (failure->thread != NULL) {
    if (failure->killed != NULL) {
      kad_meter_push_reason(L, hook->host->meter, failure->killed);
    } else {
      push_error(L, failure);
    }
    luaL_traceback(L, failure->thread, lua_tostring(L, -1), 0);
    lua_remove(L, -2);
  } else {
    lua_pushstring(L, failure->text);
  }
  kad_hook_push_place(L, hook);
  lua_pushinteger(L, (lua_Integer)hook->unsaid);
  lua_pushboolean(L, hook->open_until > hook->said_at);
  lua_call(L, 5, 0);
  return 0;
}

static void report_failure(struct failure failure) {
  struct kad_lua_hook *const hook = failure.hook;
  struct kad_host *const host = hook->host;
  const kad_time_ms now = now_of(host);
  if (count_failure(hook, now)) {
    hook->said_at = now > 0 ? now : 1;
    (void)kad_lua_protect(host->L, report_body, &failure, ignore_report);
    hook->unsaid = 0;
  }
}

void kad_hook_fail(struct kad_lua_hook *hook, const char *text) {
  report_failure((struct failure){
      .hook = hook,
      .text = text != NULL ? text : "an error that cannot be shown",
  });
}

/* --------------------------------------------------------------- runners -- */

/* Pushes the held records as a list of tables. [-0, +1, m] */
static void push_held(lua_State *L, const struct kad_runner *runner) {
  const struct kad_question *const question = runner->question;
  lua_createtable(L, (int)question->held_count, 0);
  for (size_t i = 0; i < question->held_count; i++) {
    kad_lua_push_record(L, &question->held[i], runner->host->bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* Pushes a view for this call, and keeps it in the upvalue `slot`.
 * [-0, +1, m] */
static struct kad_view *push_view(lua_State *L, const struct kad_runner *runner,
                                  enum kad_view_kind kind, int slot) {
  const struct kad_host *const host = runner->host;
  struct kad_view *const view = kad_view_push(L, kind, host->bits, &host->L);
  lua_pushvalue(L, -1);
  lua_replace(L, lua_upvalueindex(slot));
  return view;
}

static void push_record(lua_State *L, struct kad_runner *runner) {
  runner->subject = push_view(L, runner, KAD_VIEW_RECORD, KAD_RUNNER_SUBJECT);
  runner->subject->subject.record = runner->question->record;
}

static void push_request(lua_State *L, struct kad_runner *runner) {
  runner->subject = push_view(L, runner, KAD_VIEW_REQUEST, KAD_RUNNER_SUBJECT);
  runner->subject->subject.question = runner->question;
}

/* Pushes what the hook is about. Returns how many. [-0, +n, m] */
static int push_subject(lua_State *L, struct kad_runner *runner) {
  switch (runner->hook->kind) {
  case KAD_HOOK_MERGE:
    push_held(L, runner);
    push_record(L, runner);
    return 2;
  case KAD_HOOK_SELECT:
    push_held(L, runner);
    return 1;
  case KAD_HOOK_CONTACT:
    kad_lua_push_contact(L, &runner->question->from, runner->host->bits);
    return 1;
  case KAD_HOOK_REQUEST:
  case KAD_HOOK_RPC:
    push_request(L, runner);
    return 1;
  case KAD_HOOK_VALIDATE:
  case KAD_HOOK_EXPIRE:
  case KAD_HOOK_REPUBLISH:
  case KAD_HOOK_TOLD:
    push_record(L, runner);
    return 1;
  case KAD_HOOK_CODEC:
    break;
  }
  return 0;
}

/* Pushes the arguments of the hook, the context last, if it takes that.
 * [-0, +n, m] */
static int push_arguments(lua_State *L, struct kad_runner *runner) {
  const int count = push_subject(L, runner);
  if (runner->hook->arguments <= count) {
    return count;
  }
  runner->context = push_view(L, runner, KAD_VIEW_CONTEXT, KAD_RUNNER_CONTEXT);
  runner->context->subject.question = runner->question;
  return count + 1;
}

/* The hook has returned, perhaps after it has waited: its results are read, and
 * kept as the results of the coroutine. */
static int runner_end(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct kad_runner *const runner =
      lua_touserdata(L, lua_upvalueindex(KAD_RUNNER_SELF));
  luaL_checkstack(L, 10, NULL);
  kad_verdict_read(L, runner, lua_gettop(L));
  return lua_gettop(L);
}

/* The body of a runner's coroutine: calls the hook. */
static int runner_body(lua_State *L) {
  struct kad_runner *const runner =
      lua_touserdata(L, lua_upvalueindex(KAD_RUNNER_SELF));
  const lua_Integer slot = runner->hook - runner->host->hooks + 1;
  luaL_checkstack(L, 10, NULL);
  lua_rawgeti(L, lua_upvalueindex(KAD_RUNNER_HOOKS), slot);
  const int arguments = push_arguments(L, runner);
  lua_callk(L, arguments, LUA_MULTRET, 0, runner_end);
  return runner_end(L, LUA_OK, 0);
}

/* Makes the closure of the runner that is the argument, and its task.
 * [-0, +0, e] */
static int make_body(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, runner);
  push_function(L, runner->host, "hooks");
  lua_pushnil(L);
  lua_pushnil(L);
  runner->thread = lua_newthread(L);
  kad_meter_watch(runner->thread);
  lua_pushvalue(L, -1);
  lua_insert(L, 2); /* below the upvalues */
  lua_pushcclosure(L, runner_body, KAD_RUNNER_UPVALUES);
  lua_rawsetp(L, LUA_REGISTRYINDEX, runner);
  push_function(L, runner->host, "adopt");
  lua_insert(L, -2);
  lua_pushlightuserdata(L, runner);
  lua_call(L, 2, 0);
  return 0;
}

/* Lets go of what a runner keeps alive. [-0, +0, m] */
static int drop_body(lua_State *L) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
  return 0;
}

static void enlist(struct kad_runner *runner) {
  struct kad_host *const host = runner->host;
  runner->after = host->runners;
  if (runner->after != NULL) {
    runner->after->before = runner;
  }
  host->runners = runner;
}

static void unlist(const struct kad_runner *runner) {
  if (runner->before != NULL) {
    runner->before->after = runner->after;
  } else {
    runner->host->runners = runner->after;
  }
  if (runner->after != NULL) {
    runner->after->before = runner->before;
  }
}

static void free_runner(struct kad_runner *runner) {
  const struct kad_allocator heap = kad_allocator_default();
  (void)kad_lua_protect(runner->host->L, drop_body, runner, ignore_report);
  unlist(runner);
  (void)heap.resize(heap.state, runner, sizeof *runner, 0);
}

static struct kad_runner *new_runner(struct kad_host *host) {
  const struct kad_allocator heap = kad_allocator_default();
  struct kad_runner *const runner =
      heap.resize(heap.state, NULL, 0, sizeof *runner);
  if (runner == NULL) {
    return NULL;
  }
  *runner = (struct kad_runner){.host = host};
  enlist(runner);
  if (kad_lua_protect(host->L, make_body, runner, ignore_report) != LUA_OK) {
    free_runner(runner);
    return NULL;
  }
  return runner;
}

static struct kad_runner *take_runner(struct kad_host *host) {
  struct kad_runner *const runner = host->free_runners;
  if (runner == NULL) {
    return new_runner(host);
  }
  host->free_runners = runner->next_free;
  return runner;
}

static void empty_views(struct kad_runner *runner) {
  kad_view_empty(runner->subject);
  kad_view_empty(runner->context);
  runner->subject = NULL;
  runner->context = NULL;
}

static void give_runner(struct kad_runner *runner) {
  empty_views(runner);
  runner->question = NULL;
  runner->next_free = runner->host->free_runners;
  runner->host->free_runners = runner;
}

void kad_hook_free_runners(struct kad_host *host) {
  while (host->runners != NULL) {
    free_runner(host->runners);
  }
  host->free_runners = NULL;
}

/* ---------------------------------------------------------------- waiting --
 */

/* What a hook that waits has yielded. */
struct suspension {
  struct kad_runner *runner;
  int yielded;
};

/* Keeps copies of what the views show, and hands the coroutine over to the
 * scheduler: suspended(thread, ticket, yielded…). [-0, +0, e] */
static int suspend_body(lua_State *L) {
  const struct suspension *const suspension = lua_touserdata(L, 1);
  struct kad_runner *const runner = suspension->runner;
  lua_rawgetp(L, LUA_REGISTRYINDEX, runner);
  for (int i = KAD_RUNNER_SUBJECT; i <= KAD_RUNNER_CONTEXT; i++) {
    lua_getupvalue(L, 2, i);
    if (lua_isuserdata(L, -1)) {
      kad_view_keep(L, lua_gettop(L));
    }
    lua_pop(L, 1);
  }
  runner->question = NULL;
  push_function(L, runner->host, "suspended");
  lua_getupvalue(L, 2, KAD_RUNNER_THREAD);
  lua_pushinteger(L, (lua_Integer)runner->ticket);
  luaL_checkstack(L, suspension->yielded, NULL);
  lua_xmove(runner->thread, L, suspension->yielded);
  lua_call(L, suspension->yielded + 2, 0);
  return 0;
}

static void suspend_hook(struct kad_runner *runner, uint64_t ticket,
                         int yielded, struct kad_answer *answer) {
  struct suspension suspension = {.runner = runner, .yielded = yielded};
  runner->ticket = ticket;
  runner->hook->yields++;
  answer->verdict = KAD_LATER;
  answer->deadline_ms = runner->hook->deadline_ms;
  if (kad_lua_protect(runner->host->L, suspend_body, &suspension,
                      ignore_report) != LUA_OK) {
    answer->verdict = KAD_FAILED;
    free_runner(runner);
  }
}

/* ended(runner, done, problem, overrun): the task of a hook that had waited has
 * ended. Called by the scheduler while the task keeps what the hook returned.
 * `problem` is nil when there is nothing to say. */
static int hook_ended(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_argexpected(L, runner != NULL, 1, "runner");
  const struct kad_lua_link *const link = runner->host->node;
  struct kad_answer answer = {.verdict = KAD_FAILED};
  const uint64_t ticket = runner->ticket;
  if (lua_toboolean(L, 2)) {
    answer = runner->answer;
  } else if (lua_isstring(L, 3)) {
    runner->hook->overruns += (uint64_t)lua_toboolean(L, 4);
    report_failure(
        (struct failure){.hook = runner->hook, .text = lua_tostring(L, 3)});
  }
  empty_views(runner); /* the host outlives this: its handle is not collected */
  if (ticket == runner->host->asked) {
    kad_host_answered(runner->hook, &answer);
  } else if (link->node != NULL) {
    (void)kad_node_answer(link->node, ticket, &answer);
  }
  free_runner(runner);
  return 0;
}

/* Whose work is abandoned. */
struct abandoned {
  struct kad_host *host;
  uint64_t ticket;
  const char *problem; /* NULL: nobody wants the answer any more */
  bool overrun;
};

/* Returns the runner of the hook that waits with `ticket`, or NULL. */
static const struct kad_runner *find_waiting(const struct kad_host *host,
                                             uint64_t ticket) {
  const struct kad_runner *runner = host->runners;
  while (runner != NULL && runner->ticket != ticket) {
    runner = runner->after;
  }
  return runner;
}

/* Finds out why a hook need not go on. */
static void find_problem(struct abandoned *abandoned) {
  const struct kad_host *const host = abandoned->host;
  const struct kad_runner *const runner = find_waiting(host, abandoned->ticket);
  const struct kad_node *const node = host->node->node;
  struct kad_stats stats;
  if (runner == NULL || node == NULL) {
    return;
  }
  kad_node_stats(node, &stats);
  if (now_of(host) - runner->began >= runner->hook->deadline_ms) {
    abandoned->problem = "did not answer before its deadline";
    abandoned->overrun = true;
  } else if (stats.waiting >= kad_node_config(node)->max_waiting) {
    abandoned->problem = "cannot wait: too many hooks do";
  }
}

/* cancel(ticket, problem, overrun) [-0, +0, e] */
static int abandon_body(lua_State *L) {
  const struct abandoned *const abandoned = lua_touserdata(L, 1);
  push_function(L, abandoned->host, "cancel");
  lua_pushinteger(L, (lua_Integer)abandoned->ticket);
  lua_pushstring(L, abandoned->problem);
  lua_pushboolean(L, abandoned->overrun);
  lua_call(L, 3, 0);
  return 0;
}

void kad_hook_abandon(struct kad_host *host, uint64_t ticket) {
  struct abandoned abandoned = {.host = host, .ticket = ticket};
  struct kad_meter_entry entry;
  if (host->L == NULL || host->stopped) {
    return;
  }
  find_problem(&abandoned);
  if (host->owns_state) {
    kad_meter_enter(host->L, host->meter, &entry);
  }
  (void)kad_lua_protect(host->L, abandon_body, &abandoned, ignore_report);
  if (host->owns_state) {
    kad_meter_leave(host->meter);
  }
}

/* ---------------------------------------------------------------- running --
 */

/* Ends a hook that has failed. The coroutine is not used again: one that was
 * killed may not run its `<close>` variables either. */
static void fail_hook(struct kad_runner *runner,
                      const struct kad_meter_entry *entry,
                      struct kad_answer *answer) {
  answer->verdict = KAD_FAILED;
  runner->hook->overruns += entry->killed;
  empty_views(runner);
  report_failure((struct failure){
      .hook = runner->hook,
      .thread = runner->thread,
      .killed = entry->killed ? entry : NULL,
  });
  free_runner(runner);
}

static void run_hook(struct kad_runner *runner,
                     const struct kad_question *question,
                     struct kad_answer *answer) {
  struct kad_host *const host = runner->host;
  struct kad_meter_entry entry;
  int results = 0;
  runner->question = question;
  lua_settop(runner->thread, 0);
  lua_rawgetp(runner->thread, LUA_REGISTRYINDEX, runner);
  kad_meter_enter(runner->thread, host->meter, &entry);
  const int status = lua_resume(runner->thread, host->L, 0, &results);
  kad_meter_leave(host->meter);
  runner->hook->instructions +=
      (uint64_t)entry.used * KAD_METER_SLICE + entry.work;
  if (status == LUA_OK) {
    *answer = runner->answer;
    give_runner(runner);
  } else if (status == LUA_YIELD && !entry.killed) {
    suspend_hook(runner, question->ticket, results, answer);
  } else {
    fail_hook(runner, &entry, answer);
  }
}

/* Tells whether the breaker of `hook` is open; closes it when it is time. */
static bool is_suspended(struct kad_lua_hook *hook) {
  if (hook->open_until == 0) {
    return false;
  }
  if (now_of(hook->host) < hook->open_until) {
    return true;
  }
  hook->open_until = 0;
  return false;
}

void kad_hook_answer(void *state, const struct kad_question *question,
                     struct kad_answer *answer) {
  struct kad_lua_hook *const hook = state;
  struct kad_host *const host = hook->host;
  answer->verdict = KAD_FAILED;
  if (host->L == NULL || host->stopped || is_suspended(hook)) {
    return;
  }
  hook->calls++;
  struct kad_runner *const runner = take_runner(host);
  if (runner == NULL) {
    report_failure((struct failure){.hook = hook, .text = "out of memory"});
    return;
  }
  runner->hook = hook;
  runner->began = question->now;
  run_hook(runner, question, answer);
}

void kad_hook_set_up(lua_State *L, struct kad_host *host, int index) {
  lua_pushvalue(L, index);
  lua_pushcfunction(L, hook_ended);
  lua_setfield(L, -2, "ended");
  kad_meter_add_functions(L);
  lua_getfield(L, -1, "node");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host->L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, host);
}
