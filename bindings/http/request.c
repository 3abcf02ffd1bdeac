#include "http/request.h"

#include "http/server.h"

#include <lauxlib.h>

#include <inttypes.h>
#include <string.h>

enum {
  NAME_SIZE = 128, /* of a header that Lua gets */
  DECIMAL = 10
};

/* ------------------------------------------------------------- arrival -- */

void kad_http_request_set_target(struct kad_http_connection *connection,
                                 const char *target) {
  const struct kad_http_server *const server = connection->server;
  const size_t len = strlen(target);
  if (len > server->limits.target_bytes) {
    connection->refusal = MHD_HTTP_URI_TOO_LONG;
  } else if (!kad_http_buffer_append(&connection->target, server->memory,
                                     target, len)) {
    connection->refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
  }
}

/* Reads the length that a request announces for its body; 0 without it. A
 * length that is no number is libmicrohttpd's to refuse. */
static uintmax_t announced_body(struct kad_http_connection *connection) {
  const char *const text = MHD_lookup_connection_value(
      connection->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return text != NULL ? strtoumax(text, NULL, DECIMAL) : 0;
}

/* Returns the bytes that the bodies of all requests may still take. */
static size_t bodies_left(const struct kad_http_server *server) {
  const size_t limit = server->limits.bodies_bytes;
  return server->bodies_bytes < limit ? limit - server->bodies_bytes : 0;
}

int kad_http_request_check_head(struct kad_http_connection *connection) {
  const struct kad_http_server *const server = connection->server;
  const union MHD_ConnectionInfo *const info = MHD_get_connection_info(
      connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  const uintmax_t body = announced_body(connection);
  if (connection->refusal != 0) {
    return connection->refusal;
  } else if (info != NULL && info->header_size > server->limits.head_bytes) {
    return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
  } else if (body > server->limits.body_bytes) {
    return MHD_HTTP_CONTENT_TOO_LARGE;
  } else if (body > bodies_left(server)) {
    return MHD_HTTP_SERVICE_UNAVAILABLE;
  }
  return 0;
}

int kad_http_request_take_body(struct kad_http_connection *connection,
                               const char *bytes, size_t len) {
  struct kad_http_server *const server = connection->server;
  struct kad_http_buffer *const body = &connection->body;
  const size_t before = body->capacity;
  const size_t spare = before - body->len;
  if (len > server->limits.body_bytes - body->len) {
    return MHD_HTTP_CONTENT_TOO_LARGE;
  } else if ((len > spare && len - spare > bodies_left(server)) ||
             !kad_http_buffer_append(body, server->memory, bytes, len)) {
    return MHD_HTTP_SERVICE_UNAVAILABLE;
  }
  server->bodies_bytes += body->capacity - before;
  return 0;
}

/* ----------------------------------------------------------------- Lua -- */

/* Pushes the name of a header in lower case. [-0, +1, m] */
static void push_lower(lua_State *L, const char *name, size_t len) {
  char lower[NAME_SIZE];
  for (size_t i = 0; i < len; i++) {
    const bool is_upper = name[i] >= 'A' && name[i] <= 'Z';
    lower[i] = (char)(is_upper ? name[i] - 'A' + 'a' : name[i]);
  }
  lua_pushlstring(L, lower, len);
}

/* An MHD_KeyValueIteratorN: sets a header in the table at the top. A header
 * that is there more than once has all its values. [-0, +0, m] */
static enum MHD_Result set_header(void *data, enum MHD_ValueKind kind,
                                  const char *name, size_t name_len,
                                  const char *value, size_t value_len) {
  lua_State *const L = data;
  (void)kind;
  if (name_len > NAME_SIZE) {
    return MHD_YES;
  }
  push_lower(L, name, name_len);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TSTRING) {
    lua_pushliteral(L, ", ");
    lua_pushlstring(L, value != NULL ? value : "", value_len);
    lua_concat(L, 3);
  } else {
    lua_pop(L, 1);
    lua_pushlstring(L, value != NULL ? value : "", value_len);
  }
  lua_rawset(L, -3);
  return MHD_YES;
}

static void push_buffer(lua_State *L, const struct kad_http_buffer *buffer) {
  lua_pushlstring(L, buffer->len > 0 ? buffer->bytes : "", buffer->len);
}

void kad_http_request_push(lua_State *L,
                           struct kad_http_connection *connection) {
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, 10);
  lua_pushinteger(L, (lua_Integer)connection->id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, connection->method);
  lua_setfield(L, -2, "method");
  push_buffer(L, &connection->target);
  lua_setfield(L, -2, "target");
  push_buffer(L, &connection->body);
  lua_setfield(L, -2, "body");
  lua_pushstring(L, connection->from);
  lua_setfield(L, -2, "from");
  lua_newtable(L);
  (void)MHD_get_connection_values_n(connection->mhd, MHD_HEADER_KIND,
                                    set_header, L);
  lua_setfield(L, -2, "headers");
}
