#include "policy/runner.h"

/* Makes the coroutine of the runner at 1, and its task. [-0, +0, e] */
static int make_thread(lua_State *L) {
  struct kad_runner *const runner = lua_touserdata(L, 1);
  lua_State *const thread = lua_newthread(L);
  kad_meter_watch(thread);
  luaL_checkstack(thread, 10, NULL);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runner->thread_key);
  kad_host_push_field(L, runner->host, "hooks");
  kad_views_push_table(L);
  lua_xmove(L, thread, KAD_RUNNER_BASE);
  runner->thread = thread;
  kad_host_push_field(L, runner->host, "adopt");
  lua_insert(L, -2);
  lua_pushlightuserdata(L, runner);
  lua_call(L, 2, 0);
  return 0;
}

/* Removes the coroutine from the registry. [-0, +0, m] */
static int remove_thread(lua_State *L) {
  const struct kad_runner *const runner = lua_touserdata(L, 1);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runner->thread_key);
  return 0;
}

static void end_call(struct kad_runner *runner) {
  kad_view_release(runner->host->L, runner->subject);
  kad_view_release(runner->host->L, runner->context);
  runner->subject = NULL;
  runner->context = NULL;
  runner->call = NULL;
}

void kad_runner_abandon(struct kad_runner *runner) {
  end_call(runner);
  runner->handover_failed = true;
}

void kad_runner_free(struct kad_runner *runner) {
  const struct kad_allocator heap = kad_allocator_default();
  if (runner->in_handover) {
    runner->in_handover = false;
    return;
  }
  end_call(runner);
  (void)kad_lua_protect(runner->host->L, remove_thread, runner,
                        kad_host_ignore_error);
  *runner->link = runner->next;
  if (runner->next != NULL) {
    runner->next->link = runner->link;
  }
  (void)heap.resize(heap.state, runner, sizeof *runner, 0);
}

static struct kad_runner *new_runner(struct kad_host *host) {
  const struct kad_allocator heap = kad_allocator_default();
  struct kad_runner *const runner =
      heap.resize(heap.state, NULL, 0, sizeof *runner);
  if (runner == NULL) {
    return NULL;
  }
  *runner = (struct kad_runner){
      .host = host, .next = host->runners, .link = &host->runners};
  if (runner->next != NULL) {
    runner->next->link = &runner->next;
  }
  host->runners = runner;
  if (kad_lua_protect(host->L, make_thread, runner, kad_host_ignore_error) !=
      LUA_OK) {
    kad_runner_free(runner);
    return NULL;
  }
  return runner;
}

struct kad_runner *kad_runner_acquire(struct kad_host *host) {
  struct kad_runner *const runner = host->free_runners;
  if (runner == NULL) {
    return new_runner(host);
  }
  host->free_runners = runner->next_free;
  return runner;
}

void kad_runner_release(struct kad_runner *runner) {
  end_call(runner);
  runner->next_free = runner->host->free_runners;
  runner->host->free_runners = runner;
}

void kad_runner_free_all(struct kad_host *host) {
  while (host->runners != NULL) {
    kad_runner_free(host->runners);
  }
  host->free_runners = NULL;
}
