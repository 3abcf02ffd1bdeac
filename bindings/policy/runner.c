/* runner.c: the coroutines on which hooks run. One is used again and again, as
 * long as its hooks return without having waited. */
#include "policy/hook.h"

/* Makes the coroutine of the runner that is the argument, and its task.
 * [-0, +0, e] */
static int make_thread(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, 1);
  lua_State *const thread = lua_newthread(L);
  kad_meter_watch(thread);
  luaL_checkstack(thread, 10, NULL);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, runner);
  kad_hook_push_function(L, runner->host, "hooks");
  kad_views_push_table(L);
  lua_xmove(L, thread, KAD_RUNNER_BASE);
  runner->thread = thread;
  kad_hook_push_function(L, runner->host, "adopt");
  lua_insert(L, -2);
  lua_pushlightuserdata(L, runner);
  lua_call(L, 2, 0);
  return 0;
}

/* Lets go of what a runner keeps alive. [-0, +0, m] */
static int drop_thread(lua_State *L) {
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

static void give_views(struct kad_runner *runner) {
  kad_view_give(runner->host->L, runner->subject);
  kad_view_give(runner->host->L, runner->context);
  runner->subject = NULL;
  runner->context = NULL;
}

void kad_runner_lose(struct kad_runner *runner) {
  give_views(runner);
  runner->call = NULL;
  runner->lost = true;
}

void kad_runner_free(struct kad_runner *runner) {
  const struct kad_allocator heap = kad_allocator_default();
  if (runner->held) {
    runner->held = false;
    return;
  }
  give_views(runner);
  (void)kad_lua_protect(runner->host->L, drop_thread, runner, kad_hook_ignore);
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
  if (kad_lua_protect(host->L, make_thread, runner, kad_hook_ignore) !=
      LUA_OK) {
    kad_runner_free(runner);
    return NULL;
  }
  return runner;
}

struct kad_runner *kad_runner_take(struct kad_host *host) {
  struct kad_runner *const runner = host->free_runners;
  if (runner == NULL) {
    return new_runner(host);
  }
  host->free_runners = runner->next_free;
  return runner;
}

void kad_runner_give(struct kad_runner *runner) {
  give_views(runner);
  runner->call = NULL;
  runner->next_free = runner->host->free_runners;
  runner->host->free_runners = runner;
}

void kad_hook_free_runners(struct kad_host *host) {
  while (host->runners != NULL) {
    kad_runner_free(host->runners);
  }
  host->free_runners = NULL;
}
