/* For POLLRDHUP. */
#define _GNU_SOURCE

#include "http/connection.h"

#include "http/server.h"

#include <poll.h>
#include <sys/socket.h>

void kad_http_list_push(struct kad_http_list *list,
                        struct kad_http_connection *connection) {
  connection->link.previous = list->last;
  connection->link.next = NULL;
  if (list->last != NULL) {
    list->last->link.next = connection;
  } else {
    list->first = connection;
  }
  list->last = connection;
}

void kad_http_list_remove(struct kad_http_list *list,
                          struct kad_http_connection *connection) {
  struct kad_http_connection *const previous = connection->link.previous;
  struct kad_http_connection *const next = connection->link.next;
  if (previous != NULL) {
    previous->link.next = next;
  } else {
    list->first = next;
  }
  if (next != NULL) {
    next->link.previous = previous;
  } else {
    list->last = previous;
  }
  connection->link = (struct kad_http_link){0};
}

/* Returns the list of a state, or NULL. */
static struct kad_http_list *list_of(struct kad_http_server *server,
                                     enum kad_http_state state) {
  if (state == KAD_HTTP_WAITING || state == KAD_HTTP_RECEIVING) {
    return &server->without_request;
  }
  return state == KAD_HTTP_QUEUED ? &server->queued : NULL;
}

void kad_http_connection_enter(struct kad_http_connection *connection,
                               enum kad_http_state state) {
  struct kad_http_server *const server = connection->server;
  connection->since_ms = server->turn_ms;
  struct kad_http_list *const before = list_of(server, connection->state);
  struct kad_http_list *const after = list_of(server, state);
  if (before != after) {
    if (before != NULL) {
      kad_http_list_remove(before, connection);
    }
    if (after != NULL) {
      kad_http_list_push(after, connection);
    }
  }
  connection->state = state;
}

void kad_http_connection_suspend(struct kad_http_connection *connection) {
  if (!connection->is_suspended) {
    connection->is_suspended = true;
    MHD_suspend_connection(connection->mhd);
  }
}

void kad_http_connection_resume(struct kad_http_connection *connection) {
  if (connection->is_suspended) {
    connection->is_suspended = false;
    connection->server->has_resumed = true;
    MHD_resume_connection(connection->mhd);
  }
}

void kad_http_connection_cut(struct kad_http_connection *connection) {
  connection->is_lost = true;
  (void)shutdown(connection->fd, SHUT_RDWR);
  kad_http_connection_resume(connection);
}

void kad_http_connection_clear(struct kad_http_connection *connection) {
  struct kad_http_server *const server = connection->server;
  if (connection->response != NULL) {
    MHD_destroy_response(connection->response);
    connection->response = NULL;
  }
  server->bodies_bytes -= connection->body.capacity;
  kad_http_buffer_free(&connection->target, server->memory);
  kad_http_buffer_free(&connection->body, server->memory);
  kad_http_buffer_free(&connection->output, server->memory);
  connection->sent = 0;
  connection->id = 0;
  connection->refusal = 0;
  connection->is_begun = false;
  connection->is_finished = false;
}

bool kad_http_connection_has_left(
    const struct kad_http_connection *connection) {
  struct pollfd socket = {.fd = connection->fd};
  if (connection->state == KAD_HTTP_STREAMING) {
    socket.events = POLLRDHUP;
  }
  return poll(&socket, 1, 0) == 1 && socket.revents != 0;
}
