/* request.h: what arrives of a request, and its form in Lua. */
#ifndef KAD_HTTP_REQUEST_H
#define KAD_HTTP_REQUEST_H

#include "http/connection.h"

#include <lua.h>

/* Keeps the target of a request, with its query. */
void kad_http_request_set_target(struct kad_http_connection *connection,
                                 const char *target);

/* Checks the sizes that the head of a request has and announces. Returns 0, or
 * the status to refuse it with. */
int kad_http_request_check_head(struct kad_http_connection *connection);

/* Appends a part of the body. Returns 0, or the status to refuse it with. */
int kad_http_request_take_body(struct kad_http_connection *connection,
                               const char *bytes, size_t len);

/* Pushes { id, method, target, headers, body, from }. [-0, +1, m] */
void kad_http_request_push(lua_State *L,
                           struct kad_http_connection *connection);

#endif
