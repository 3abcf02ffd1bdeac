#include "policy/hook_arguments.h"

#include "lua/record.h"
#include "lua/value.h"

enum view_argument {
  VIEW_ARGUMENT_NONE,
  VIEW_ARGUMENT_RECORD,
  VIEW_ARGUMENT_REQUEST
};

/* The arguments of each kind, before the context: a table, a view. */
static const struct {
  bool table; /* a contact, or a list of records */
  enum view_argument view;
} arguments[] = {
    [KAD_HOOK_KIND_VALIDATE] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_MERGE] = {true, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_SELECT] = {true, VIEW_ARGUMENT_NONE},
    [KAD_HOOK_KIND_EXPIRE] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_REPUBLISH] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_NOTICE] = {false, VIEW_ARGUMENT_RECORD},
    [KAD_HOOK_KIND_REQUEST] = {false, VIEW_ARGUMENT_REQUEST},
    [KAD_HOOK_KIND_CONTACT] = {true, VIEW_ARGUMENT_NONE},
    [KAD_HOOK_KIND_RPC] = {false, VIEW_ARGUMENT_REQUEST},
    [KAD_HOOK_KIND_CODEC] = {false, VIEW_ARGUMENT_NONE},
};

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
static bool push_subject(lua_State *L, struct kad_runner *runner,
                         enum view_argument argument) {
  const bool is_record = argument == VIEW_ARGUMENT_RECORD;
  struct kad_view *const view = push_view(
      L, runner, is_record ? KAD_VIEW_KIND_RECORD : KAD_VIEW_KIND_REQUEST);
  runner->subject = view;
  if (view == NULL) {
    return false;
  }
  if (is_record) {
    view->subject.record = runner->call->record;
  } else {
    view->subject.request = runner->call->request;
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
  const enum view_argument view = arguments[runner->hook->kind].view;
  int count = 0;
  if (arguments[runner->hook->kind].table) {
    lua_pushcfunction(L, make_table);
    lua_pushlightuserdata(L, runner);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      return -1;
    }
    count++;
  }
  if (view != VIEW_ARGUMENT_NONE) {
    if (!push_subject(L, runner, view)) {
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
