/* The Lua module kadenza.httpd.
 *
 *   local server = httpd.open { host = "127.0.0.1", port = 8080,
 *     on_request = function(request) … end,
 *     on_lost = function(id) … end }
 *
 * A request is { id, method, target, headers, body, from }. It is answered with
 * server:respond or server:stream, in on_request or later, once.
 *
 * Functions return nil, message, code for what may happen at run time. */

#include "http/module.h"

#include "http/listener.h"
#include "http/request.h"
#include "http/response.h"
#include "http/server.h"

#include <lauxlib.h>
#include <sodium.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SERVER_NAME "kadenza.HttpServer"

enum {
  ON_REQUEST = 1, /* user values of a server */
  ON_LOST = 2,
  STATUS_MIN = 200,
  STATUS_MAX = 599
};

/* A server as a userdata. */
struct handle {
  struct kad_http_server server;
  lua_State *caller; /* in step and close: its functions are at 2 and 3 */
  bool is_closing;   /* close was called within step */
  bool has_failed;   /* the error of a function is at the caller's 4 */
  char address[KAD_HTTP_ADDRESS_SIZE];
};

static struct handle *check_handle(lua_State *L) {
  return luaL_checkudata(L, 1, SERVER_NAME);
}

static struct handle *check_open(lua_State *L) {
  struct handle *const self = check_handle(L);
  luaL_argcheck(L, self->server.daemon != NULL, 1, "the server is closed");
  return self;
}

/* -------------------------------------------------------------- callbacks --
 */

/* Keeps the first error of a turn, which is at the top. [-1, +0, -] */
static void keep_error(struct handle *self, lua_State *L) {
  if (self->has_failed) {
    lua_pop(L, 1);
  } else {
    self->has_failed = true;
    lua_replace(L, 4);
  }
}

/* Arguments: on_request, a pointer to the connection. */
static int call_on_request(lua_State *L) {
  struct kad_http_connection *const connection = lua_touserdata(L, 2);
  lua_settop(L, 1);
  kad_http_request_push(L, connection);
  lua_call(L, 1, 0);
  return 0;
}

static void on_request(void *data, struct kad_http_connection *connection) {
  struct handle *const self = data;
  lua_State *const L = self->caller;
  const uint64_t id = connection->id;
  lua_pushcfunction(L, call_on_request);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, connection);
  const int outcome = lua_pcall(L, 2, 0, 0);
  if (outcome == LUA_OK) {
    return;
  }
  if (connection->id == id && connection->response == NULL) {
    const int status = outcome == LUA_ERRMEM ? MHD_HTTP_SERVICE_UNAVAILABLE
                                             : MHD_HTTP_INTERNAL_SERVER_ERROR;
    kad_http_respond(connection, status, kad_http_refusal(status));
  }
  keep_error(self, L);
}

/* Arguments: on_lost, a pointer to the id. */
static int call_on_lost(lua_State *L) {
  const uint64_t *const id = lua_touserdata(L, 2);
  lua_settop(L, 1);
  lua_pushinteger(L, (lua_Integer)*id);
  lua_call(L, 1, 0);
  return 0;
}

static void on_lost(void *data, uint64_t id) {
  struct handle *const self = data;
  lua_State *const L = self->caller;
  if (L == NULL) { /* collected */
    return;
  }
  lua_pushcfunction(L, call_on_lost);
  lua_pushvalue(L, 3);
  lua_pushlightuserdata(L, &id);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    keep_error(self, L);
  }
}

/* Runs `work` with the functions of the server at their places. Raises the
 * first error of a function afterwards. [-0, +0, e] */
static void run(lua_State *L, struct handle *self,
                void (*work)(struct kad_http_server *)) {
  lua_State *const outer = self->caller;
  lua_settop(L, 1);
  luaL_checkstack(L, 8, NULL);
  lua_getiuservalue(L, 1, ON_REQUEST);
  lua_getiuservalue(L, 1, ON_LOST);
  lua_pushnil(L);
  self->caller = L;
  self->has_failed = false;
  work(&self->server);
  self->caller = outer;
  if (self->has_failed) {
    self->has_failed = false;
    lua_error(L);
  }
}

/* --------------------------------------------------------------- methods -- */

/* server:fd() → descriptor that is readable when there is work */
static int server_fd(lua_State *L) {
  lua_pushinteger(L, kad_http_server_fd(&check_open(L)->server));
  return 1;
}

/* server:timeout() → milliseconds until there is work in any case, or nil */
static int server_timeout(lua_State *L) {
  const int64_t timeout = kad_http_server_timeout(&check_open(L)->server);
  if (timeout < 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, (lua_Integer)timeout);
  }
  return 1;
}

/* server:close(): ends all connections. Within step, after it. */
static int server_close(lua_State *L) {
  struct handle *const self = check_handle(L);
  if (self->server.is_stepping) {
    self->is_closing = true;
  } else if (self->server.daemon != NULL) {
    run(L, self, kad_http_server_close);
  }
  return 0;
}

/* server:step(): does the work that is due, without waiting */
static int server_step(lua_State *L) {
  struct handle *const self = check_open(L);
  luaL_argcheck(L, !self->server.is_stepping, 1, "the server is being run");
  run(L, self, kad_http_server_step);
  return self->is_closing ? server_close(L) : 0;
}

/* server:address() → "ADDRESS:PORT" that it listens on */
static int server_address(lua_State *L) {
  lua_pushstring(L, check_handle(L)->address);
  return 1;
}

/* Returns the connection whose request has the id at 2, or NULL. */
static struct kad_http_connection *find(lua_State *L, struct handle *self) {
  return kad_http_server_find(&self->server, (uint64_t)luaL_checkinteger(L, 2));
}

static int push_lost(lua_State *L) {
  luaL_pushfail(L);
  lua_pushliteral(L, "the client has gone");
  return 2;
}

/* Adds the headers of the list at `index`: name, value, name, value, …
 * Raises for one that HTTP does not allow. [-0, +0, e] */
static void add_headers(lua_State *L, int index,
                        struct MHD_Response *response) {
  const lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i + 1 <= count; i += 2) {
    lua_rawgeti(L, index, i);
    lua_rawgeti(L, index, i + 1);
    const char *const name = lua_tostring(L, -2);
    const char *const value = lua_tostring(L, -1);
    if (name == NULL || value == NULL || strlen(value) != lua_rawlen(L, -1) ||
        MHD_add_response_header(response, name, value) != MHD_YES) {
      MHD_destroy_response(response);
      luaL_error(L, "the header '%s' has an invalid name or value",
                 name != NULL ? name : "?");
    }
    lua_pop(L, 2);
  }
}

/* Reads the arguments that respond and stream share. Returns the connection
 * that may be answered, or NULL. */
static struct kad_http_connection *check_answer(lua_State *L,
                                                struct handle *self) {
  const lua_Integer status = luaL_checkinteger(L, 3);
  luaL_argcheck(L, status >= STATUS_MIN && status <= STATUS_MAX, 3,
                "200 to 599");
  luaL_checktype(L, 4, LUA_TTABLE);
  struct kad_http_connection *const connection = find(L, self);
  const bool is_due = connection != NULL &&
                      connection->state == KAD_HTTP_HANDLED &&
                      connection->response == NULL;
  return is_due ? connection : NULL;
}

/* server:respond(id, status, headers, body) → true, or nil, message */
static int server_respond(lua_State *L) {
  struct handle *const self = check_open(L);
  size_t len = 0;
  const char *const body = luaL_checklstring(L, 5, &len);
  struct kad_http_connection *const connection = check_answer(L, self);
  if (connection == NULL) {
    return push_lost(L);
  }
  /* libmicrohttpd copies the bytes. */
  struct MHD_Response *const response =
      MHD_create_response_from_buffer(len, (void *)body, MHD_RESPMEM_MUST_COPY);
  if (response != NULL) {
    add_headers(L, 4, response);
  }
  kad_http_respond(connection, (int)lua_tointeger(L, 3), response);
  lua_pushboolean(L, response != NULL);
  return 1;
}

/* server:stream(id, status, headers) → true, or nil, message: begins a response
 * whose body server:write appends to */
static int server_stream(lua_State *L) {
  struct handle *const self = check_open(L);
  struct kad_http_connection *const connection = check_answer(L, self);
  if (connection == NULL) {
    return push_lost(L);
  }
  struct MHD_Response *const response = kad_http_stream_new(connection);
  if (response != NULL) {
    add_headers(L, 4, response);
  }
  kad_http_begin_stream(connection, (int)lua_tointeger(L, 3), response);
  lua_pushboolean(L, response != NULL);
  return 1;
}

/* server:write(id, bytes) → true, or nil, message: the client has gone, or more
 * waits for it than the limit */
static int server_write(lua_State *L) {
  struct handle *const self = check_open(L);
  size_t len = 0;
  const char *const bytes = luaL_checklstring(L, 3, &len);
  struct kad_http_connection *const connection = find(L, self);
  if (connection == NULL) {
    return push_lost(L);
  }
  if (!kad_http_stream_write(connection, bytes, len)) {
    luaL_pushfail(L);
    lua_pushliteral(L, "the client reads too slowly");
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* server:finish(id): ends the body of a stream */
static int server_finish(lua_State *L) {
  struct handle *const self = check_open(L);
  struct kad_http_connection *const connection = find(L, self);
  if (connection != NULL) {
    kad_http_stream_finish(connection);
  }
  return 0;
}

/* server:cut(id): ends the connection of a request at once */
static int server_cut(lua_State *L) {
  struct handle *const self = check_open(L);
  struct kad_http_connection *const connection = find(L, self);
  if (connection != NULL) {
    connection->id = 0;
    kad_http_connection_cut(connection);
  }
  return 0;
}

static void set_count(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/* server:stats() → { connections, limit, files, accepted, refused, evicted,
 * expired, requests }; limit is that of connections, files what they and those
 * that make room for them may have */
static int server_stats(lua_State *L) {
  const struct kad_http_server *const server = &check_handle(L)->server;
  lua_createtable(L, 0, 8);
  set_count(L, "connections", server->open_count);
  set_count(L, "limit", server->limits.connections);
  set_count(L, "files", server->place_count);
  set_count(L, "accepted", server->counters.accepted);
  set_count(L, "refused", server->counters.refused);
  set_count(L, "evicted", server->counters.evicted);
  set_count(L, "expired", server->counters.expired);
  set_count(L, "requests", server->counters.requests);
  return 1;
}

static int server_gc(lua_State *L) {
  struct handle *const self = check_handle(L);
  self->caller = NULL;
  kad_http_server_close(&self->server);
  return 0;
}

static int server_tostring(lua_State *L) {
  const struct handle *const self = check_handle(L);
  lua_pushfstring(L, "%s (%s)", SERVER_NAME,
                  self->server.daemon != NULL ? self->address : "closed");
  return 1;
}

/* ------------------------------------------------------------------ open -- */

/* A limit as a field of the options. */
struct limit {
  const char *name;
  uint32_t otherwise;
  uint32_t min;
  uint32_t max;
  size_t offset; /* in struct kad_http_limits */
};

#define LIMIT(name, otherwise, min, max) \
  { #name, otherwise, min, max, offsetof(struct kad_http_limits, name) }

static const struct limit limits[] = {
    LIMIT(connections, 512, 1, KAD_HTTP_CONNECTIONS_MAX),
    LIMIT(address_connections, 0, 0, KAD_HTTP_CONNECTIONS_MAX),
    LIMIT(other_files, 64, 64, KAD_HTTP_FILES_MAX),
    LIMIT(target_bytes, 8192, 64, 65536),
    LIMIT(head_bytes, 16384, 1024, 1048576),
    LIMIT(body_bytes, 65536, 0, 67108864),
    LIMIT(bodies_bytes, 8388608, 65536, 1073741824),
    LIMIT(stream_bytes, 262144, 1024, 16777216),
    LIMIT(idle_ms, 60000, 100, 3600000),
    LIMIT(receive_ms, 20000, 100, 3600000),
    LIMIT(handle_ms, 60000, 100, 3600000),
    LIMIT(send_ms, 60000, 100, 3600000),
};

static void check_limits(lua_State *L, struct kad_http_limits *result) {
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    const struct limit *const limit = &limits[i];
    uint32_t *const field = (uint32_t *)((char *)result + limit->offset);
    *field = limit->otherwise;
    if (lua_getfield(L, 1, limit->name) != LUA_TNIL) {
      const lua_Integer value = luaL_checkinteger(L, -1);
      luaL_argcheck(L, value >= limit->min && value <= limit->max, 1,
                    limit->name);
      *field = (uint32_t)value;
    }
    lua_pop(L, 1);
  }
}

/* Moves the function `name` of the options to a user value of the server at 2.
 */
static void take_function(lua_State *L, const char *name, int value) {
  const int type = lua_getfield(L, 1, name);
  luaL_argcheck(L, type == LUA_TFUNCTION, 1, name);
  lua_setiuservalue(L, 2, value);
}

/* Returns the name of the library's error for an errno. */
static const char *code_of(int number) {
  switch (number) {
  case EADDRINUSE:
    return "KAD_EADDRINUSE";
  case EADDRNOTAVAIL:
    return "KAD_EADDRNOTAVAIL";
  case EACCES:
    return "KAD_EACCESS";
  case ENOMEM:
    return "KAD_ENOMEM";
  default:
    return "KAD_ESYSTEM";
  }
}

static int push_failure(lua_State *L, const char *call, int number) {
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: %s", call, strerror(number));
  lua_pushstring(L, code_of(number));
  return 3;
}

/* open { host, port, on_request, on_lost, limits… } → server, or nil, message,
 * code */
static int httpd_open(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct handle *const self = lua_newuserdatauv(L, sizeof *self, 2);
  *self = (struct handle){
      .server = {.on_request = on_request, .on_lost = on_lost, .data = self}};
  luaL_setmetatable(L, SERVER_NAME);
  self->server.memory.allocate = lua_getallocf(L, &self->server.memory.data);
  take_function(L, "on_request", ON_REQUEST);
  take_function(L, "on_lost", ON_LOST);
  check_limits(L, &self->server.limits);
  lua_getfield(L, 1, "host");
  lua_getfield(L, 1, "port");
  const char *call = NULL;
  const int fd =
      kad_http_listen(luaL_checkstring(L, 3), luaL_checkstring(L, 4), &call);
  if (fd < 0) {
    return push_failure(L, call, errno);
  }
  int number = kad_http_socket_address(fd, self->address) != 0 ? errno : 0;
  if (number == 0) {
    number = kad_http_server_open(&self->server, fd);
  }
  if (number != 0) {
    (void)close(fd);
    return push_failure(L, "start", number);
  }
  lua_settop(L, 2);
  return 1;
}

/* are_equal(a, b) → whether two secrets are the same. The time that it takes
 * tells only their lengths. */
static int httpd_are_equal(lua_State *L) {
  size_t a_len = 0;
  size_t b_len = 0;
  const char *const a = luaL_checklstring(L, 1, &a_len);
  const char *const b = luaL_checklstring(L, 2, &b_len);
  lua_pushboolean(L, a_len == b_len && sodium_memcmp(a, b, a_len) == 0);
  return 1;
}

/* sha256(bytes) → their hash, 32 bytes */
static int httpd_sha256(lua_State *L) {
  size_t len = 0;
  const char *const bytes = luaL_checklstring(L, 1, &len);
  unsigned char hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, (const unsigned char *)bytes, len);
  lua_pushlstring(L, (const char *)hash, sizeof hash);
  return 1;
}

static const luaL_Reg functions[] = {
    {"open", httpd_open},
    {"sha256", httpd_sha256},
    {"are_equal", httpd_are_equal},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"fd", server_fd},           {"timeout", server_timeout},
    {"step", server_step},       {"address", server_address},
    {"respond", server_respond}, {"stream", server_stream},
    {"write", server_write},     {"finish", server_finish},
    {"cut", server_cut},         {"stats", server_stats},
    {"close", server_close},     {NULL, NULL},
};

static const luaL_Reg meta[] = {
    {"__gc", server_gc},
    {"__close", server_close},
    {"__tostring", server_tostring},
    {NULL, NULL},
};

int luaopen_kadenza_httpd(lua_State *L) {
  if (sodium_init() < 0) {
    return luaL_error(L, "libsodium cannot be used");
  }
  luaL_newmetatable(L, SERVER_NAME);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
