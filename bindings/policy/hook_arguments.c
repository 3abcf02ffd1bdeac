#include "policy/hook_arguments.h"

#include "lua/record.h"
#include "lua/value.h"

/* Tells whether the hook is about a record or request, which it sees as a view.
 */
static bool takes_view(enum kad_hook_kind kind) {
  switch (kind) {
  case KAD_HOOK_KIND_SELECT:
  case KAD_HOOK_KIND_CONTACT:
  case KAD_HOOK_KIND_CODEC:
    return false;
  case KAD_HOOK_KIND_MERGE:
  case KAD_HOOK_KIND_REQUEST:
  case KAD_HOOK_KIND_RPC:
  case KAD_HOOK_KIND_VALIDATE:
  case KAD_HOOK_KIND_EXPIRE:
  case KAD_HOOK_KIND_REPUBLISH:
  case KAD_HOOK_KIND_NOTICE:
    return true;
  }
  return false;
}

/* Tells whether the first argument of the hook is a table. */
static bool takes_table(enum kad_hook_kind kind) {
  return kind == KAD_HOOK_KIND_MERGE || kind == KAD_HOOK_KIND_SELECT ||
         kind == KAD_HOOK_KIND_CONTACT;
}

/* What add_view needs. */
struct view_shortage {
  struct kad_views *views;
  enum kad_view_kind kind;
};

static int add_view(lua_State *L) {
  const struct view_shortage *const shortage = lua_touserdata(L, 1);
  kad_views_refill(L, shortage->views, shortage->kind);
  return 0;
}

/* Pushes a view for this call; nil when memory ends. [-0, +1, -] */
static struct kad_view *push_view(lua_State *L, const struct kad_runner *runner,
                                  enum kad_view_kind kind) {
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
  lua_rawgeti(L, KAD_RUNNER_VIEWS, view->place);
  return view;
}

/* Pushes the view of the record or request. Returns false when memory ends.
 * [-0, +1, -] */
static bool push_subject(lua_State *L, struct kad_runner *runner) {
  const struct kad_hook_call *const call = runner->call;
  const bool is_record = runner->hook->kind != KAD_HOOK_KIND_REQUEST &&
                         runner->hook->kind != KAD_HOOK_KIND_RPC;
  struct kad_view *const view = push_view(
      L, runner, is_record ? KAD_VIEW_KIND_RECORD : KAD_VIEW_KIND_REQUEST);
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

static bool push_context(lua_State *L, struct kad_runner *runner) {
  runner->context = push_view(L, runner, KAD_VIEW_KIND_CONTEXT);
  if (runner->context == NULL) {
    return false;
  }
  runner->context->subject.call = runner->call;
  return true;
}

/* make_table(runner) → a contact or a list of records */
static int make_table(lua_State *L) {
  const struct kad_runner *const runner = lua_touserdata(L, 1);
  luaL_checkstack(L, 10, NULL);
  if (runner->hook->kind == KAD_HOOK_KIND_CONTACT) {
    kad_lua_push_contact(L, &runner->call->from, runner->host->bits);
  } else {
    kad_lua_push_records(L, runner->call->held, runner->call->held_count,
                         runner->host->bits);
  }
  return 1;
}

int kad_hook_arguments_push(lua_State *L, struct kad_runner *runner) {
  int count = 0;
  if (takes_table(runner->hook->kind)) {
    lua_pushcfunction(L, make_table);
    lua_pushlightuserdata(L, runner);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      return -1;
    }
    count++;
  }
  if (takes_view(runner->hook->kind)) {
    if (!push_subject(L, runner)) {
      return -1;
    }
    count++;
  }
  if (runner->hook->arguments > count) {
    if (!push_context(L, runner)) {
      return -1;
    }
    count++;
  }
  return count;
}
