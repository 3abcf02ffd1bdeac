#include "lua/argument.h"
#include "lua/value.h"
#include "policy/hook.h"

/* Gives the parent the result of a call that was pending. */
static void end_served(struct kad_host *host, uint64_t call_id,
                       const struct kad_hook_result *result) {
  const bool succeeded = result->verdict == KAD_VERDICT_ACCEPT;
  host->served.pending--;
  kad_host_answer(host, (lua_Integer)call_id, succeeded,
                  succeeded ? result->reply : (struct kad_slice){NULL, 0});
}

/* Returns why `hook` cannot be called now, or NULL. */
static const char *find_obstacle(struct kad_hook *hook) {
  const struct kad_host *const host = hook->host;
  const struct kad_node *const node = host->link->node;
  if (host->stopped || node == NULL) {
    return "stopped";
  }
  if (host->served.pending >= kad_node_config(node)->max_pending_hooks) {
    return "busy";
  }
  return kad_hook_failure_breaker_is_open(hook) ? "open" : NULL;
}

/* Pushes nil and why. [-0, +2, m] */
static int push_refusal(lua_State *L, const char *why) {
  luaL_pushfail(L);
  lua_pushstring(L, why);
  return 2;
}

int kad_hook_serve(lua_State *L, struct kad_host *host) {
  const lua_Integer number =
      kad_lua_check_integer(L, 2, 1, (lua_Integer)host->hook_count);
  const struct kad_request request = {.args = kad_lua_check_slice(L, 3)};
  struct kad_hook *const hook = &host->hooks[number - 1];
  luaL_argcheck(L, hook->kind == KAD_HOOK_KIND_HTTP, 2,
                "not the hook of a route");
  const char *const obstacle = find_obstacle(hook);
  if (obstacle != NULL) {
    return push_refusal(L, obstacle);
  }
  const struct kad_hook_call call = {
      .node = host->link->node,
      .call_id = kad_host_served_first + host->served.count,
      .now = kad_host_now(host),
      .request = &request,
  };
  struct kad_hook_result result = {.verdict = KAD_VERDICT_FAILED};
  host->served.count++;
  host->served.pending++; /* it may end before kad_hook_run returns */
  host->served.done = end_served;
  kad_hook_run(hook, &call, &result);
  if (result.verdict == KAD_VERDICT_PENDING) {
    lua_pushinteger(L, (lua_Integer)call.call_id);
    return 1;
  }
  host->served.pending--;
  if (result.verdict != KAD_VERDICT_ACCEPT) {
    return push_refusal(L, "failed");
  }
  kad_lua_push_slice(L, result.reply);
  return 1;
}
