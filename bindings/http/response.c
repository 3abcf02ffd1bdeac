#include "http/response.h"

#include "http/server.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
  STREAM_BLOCK = 4096, /* bytes of a stream that are sent at once */
  REFUSAL_SIZE = 512
};

/* ------------------------------------------------------------ refusals -- */

/* A request that Lua does not get. The bodies have the form of all errors. */
struct refusal {
  int status;
  const char *reason;
  const char *body;
};

static const struct refusal refusals[] = {
    {MHD_HTTP_REQUEST_TIMEOUT, "Request Timeout",
     "{\"error\":{\"code\":\"request_timeout\",\"message\":"
     "\"the request did not arrive in time\"}}\n"},
    {MHD_HTTP_CONTENT_TOO_LARGE, "Content Too Large",
     "{\"error\":{\"code\":\"content_too_large\",\"message\":"
     "\"the body is larger than this node takes\"}}\n"},
    {MHD_HTTP_URI_TOO_LONG, "URI Too Long",
     "{\"error\":{\"code\":\"uri_too_long\",\"message\":"
     "\"the path and query are longer than this node takes\"}}\n"},
    {MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
     "Request Header Fields Too Large",
     "{\"error\":{\"code\":\"header_fields_too_large\",\"message\":"
     "\"the headers are larger than this node takes\"}}\n"},
    {MHD_HTTP_INTERNAL_SERVER_ERROR, "Internal Server Error",
     "{\"error\":{\"code\":\"internal_server_error\",\"message\":"
     "\"the request failed\"}}\n"},
    /* The last one stands for all others. */
    {MHD_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable",
     "{\"error\":{\"code\":\"service_unavailable\",\"message\":"
     "\"the node has too much to do, or took too long\"}}\n"},
};

static const struct refusal *find_refusal(int status) {
  const size_t last = sizeof refusals / sizeof refusals[0] - 1;
  size_t i = 0;
  while (i < last && refusals[i].status != status) {
    i++;
  }
  return &refusals[i];
}

struct MHD_Response *kad_http_refusal(int status) {
  const char *const body = find_refusal(status)->body;
  /* libmicrohttpd does not write to it. */
  struct MHD_Response *const response = MHD_create_response_from_buffer(
      strlen(body), (void *)body, MHD_RESPMEM_PERSISTENT);
  if (response != NULL) {
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
  }
  return response;
}

void kad_http_write_refusal(const struct kad_http_connection *connection,
                            int status) {
  const struct refusal *const refusal = find_refusal(status);
  char text[REFUSAL_SIZE];
  const int len = snprintf(
      text, sizeof text,
      "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: "
      "application/json\r\nCache-Control: no-store\r\n"
      "Content-Length: %zu\r\n\r\n%s",
      refusal->status, refusal->reason, strlen(refusal->body), refusal->body);
  if (len > 0) {
    /* As much as fits: the connection ends in any case. */
    (void)!send(connection->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

/* ----------------------------------------------------------- responses -- */

void kad_http_begin_stream(struct kad_http_connection *connection, int status,
                           struct MHD_Response *response) {
  connection->response = response;
  connection->status = status;
  if (response == NULL) { /* no memory */
    kad_http_connection_cut(connection);
  } else {
    kad_http_connection_resume(connection);
  }
}

enum MHD_Result kad_http_response_queue(
    struct kad_http_connection *connection) {
  struct MHD_Response *const response = connection->response;
  if (response == NULL) {
    return MHD_NO;
  }
  connection->response = NULL;
  kad_http_connection_enter(
      connection, connection->id != 0 ? KAD_HTTP_STREAMING : KAD_HTTP_ANSWERED);
  const enum MHD_Result result = MHD_queue_response(
      connection->mhd, (unsigned int)connection->status, response);
  MHD_destroy_response(response);
  return result;
}

void kad_http_respond(struct kad_http_connection *connection, int status,
                      struct MHD_Response *response) {
  connection->id = 0;
  kad_http_begin_stream(connection, status, response);
}

/* ------------------------------------------------------------- streams -- */

/* An MHD_ContentReaderCallback: gives the next bytes of a stream. */
static ssize_t read_stream(void *data, uint64_t position, char *bytes,
                           size_t max) {
  struct kad_http_connection *const connection = data;
  struct kad_http_buffer *const output = &connection->output;
  const size_t waiting = output->len - connection->sent;
  (void)position;
  if (connection->is_lost) {
    return MHD_CONTENT_READER_END_WITH_ERROR;
  } else if (waiting == 0 && connection->is_finished) {
    return MHD_CONTENT_READER_END_OF_STREAM;
  } else if (waiting == 0) {
    kad_http_connection_suspend(connection);
    return 0;
  }
  const size_t len = waiting < max ? waiting : max;
  memcpy(bytes, output->bytes + connection->sent, len);
  connection->sent += len;
  if (connection->sent == output->len) {
    connection->sent = 0;
    output->len = 0;
  }
  return (ssize_t)len;
}

struct MHD_Response *kad_http_stream_new(
    struct kad_http_connection *connection) {
  return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                           read_stream, connection, NULL);
}

/* Moves what has not been sent to the start of the buffer. */
static void compact(struct kad_http_connection *connection) {
  struct kad_http_buffer *const output = &connection->output;
  if (connection->sent > 0) {
    output->len -= connection->sent;
    memmove(output->bytes, output->bytes + connection->sent, output->len);
    connection->sent = 0;
  }
}

bool kad_http_stream_write(struct kad_http_connection *connection,
                           const char *bytes, size_t len) {
  const struct kad_http_server *const server = connection->server;
  compact(connection);
  if (len > server->limits.stream_bytes - connection->output.len ||
      !kad_http_buffer_append(&connection->output, server->memory, bytes,
                              len)) {
    return false;
  }
  if (connection->state == KAD_HTTP_STREAMING) {
    kad_http_connection_resume(connection);
  }
  return true;
}

void kad_http_stream_finish(struct kad_http_connection *connection) {
  connection->is_finished = true;
  connection->id = 0;
  if (connection->state == KAD_HTTP_STREAMING) {
    kad_http_connection_enter(connection, KAD_HTTP_ANSWERED); /* has a limit */
    kad_http_connection_resume(connection);
  }
}
