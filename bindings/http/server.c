/* For clock_gettime. */
#define _POSIX_C_SOURCE 200809L

#include "http/server.h"

#include "http/request.h"
#include "http/response.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
  MS_PER_S = 1000,
  US_PER_MS = 1000,
  NS_PER_US = 1000,
  SWEEP_MS = 500,
  /* How long a turn passes requests on. The rest waits for the next turn, so
   * that many of them do not delay the datagrams of the node. */
  TURN_US = 100,
  /* Memory of libmicrohttpd for a connection beside the head of a request: what
   * it has parsed, and the head of the response. */
  HEAD_SPARE = 8192,
  HEAD_STEP = 1024,
  /* Connections above the limit, while those that make room for them end. */
  SLACK = 64
};

static int64_t now_us(void) {
  struct timespec time;
  (void)clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * MS_PER_S * US_PER_MS + time.tv_nsec / NS_PER_US;
}

int64_t kad_http_now(void) {
  return now_us() / US_PER_MS;
}

/* -------------------------------------------------------- connections -- */

static void free_place(struct kad_http_connection *connection) {
  struct kad_http_server *const server = connection->server;
  connection->mhd = NULL;
  server->free_places[server->free_count++] = connection->place;
  server->open_count--;
}

/* Ends a connection that has no complete request. */
static void drop(struct kad_http_connection *connection, int status) {
  if (status != 0) {
    kad_http_write_refusal(connection, status);
  }
  kad_http_connection_enter(connection, KAD_HTTP_ANSWERED);
  kad_http_connection_cut(connection);
}

/* Makes room for a new connection: ends the one that has been without a request
 * for longest. If all others are busy, refuses the new one. */
static void make_room(struct kad_http_server *server,
                      struct kad_http_connection *newcomer) {
  struct kad_http_connection *const oldest = server->without_request.first;
  if (oldest != newcomer) {
    server->counters.evicted++;
    drop(oldest, oldest->state == KAD_HTTP_RECEIVING
                     ? MHD_HTTP_SERVICE_UNAVAILABLE
                     : 0);
  } else {
    server->counters.refused++;
    drop(newcomer, MHD_HTTP_SERVICE_UNAVAILABLE);
  }
}

static void begin_connection(struct kad_http_server *server,
                             struct MHD_Connection *mhd, void **context) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
  const uint16_t place = server->free_places[--server->free_count];
  struct kad_http_connection *const connection = &server->places[place];
  *connection = (struct kad_http_connection){.server = server,
                                             .mhd = mhd,
                                             .fd = info->connect_fd,
                                             .place = place,
                                             .since_ms = server->turn_ms};
  info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  kad_http_format_address(info->client_addr, connection->from);
  kad_http_list_push(&server->without_request, connection);
  server->open_count++;
  server->counters.accepted++;
  *context = connection;
  if (server->open_count > server->limits.connections) {
    make_room(server, connection);
  }
}

/* An MHD_NotifyConnectionCallback. libmicrohttpd never has more connections
 * than there are places. */
static void on_connection(void *data, struct MHD_Connection *mhd,
                          void **context,
                          enum MHD_ConnectionNotificationCode code) {
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    begin_connection(data, mhd, context);
    return;
  }
  struct kad_http_connection *const connection = *context;
  kad_http_connection_clear(connection);
  kad_http_connection_enter(connection, KAD_HTTP_ANSWERED);
  free_place(connection);
}

/* ----------------------------------------------------------- requests -- */

/* A function for MHD_OPTION_URI_LOG_CALLBACK: a request line has arrived.
 * Returns what the other callbacks get as `*context`. */
static void *on_target(void *data, const char *target,
                       struct MHD_Connection *mhd) {
  (void)data;
  const union MHD_ConnectionInfo *const info =
      MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  struct kad_http_connection *const connection = info->socket_context;
  kad_http_connection_enter(
      connection, connection->is_lost ? KAD_HTTP_ANSWERED : KAD_HTTP_RECEIVING);
  kad_http_request_set_target(connection, target);
  return connection;
}

static void pass_on(struct kad_http_connection *connection) {
  struct kad_http_server *const server = connection->server;
  kad_http_connection_enter(connection, KAD_HTTP_HANDLED);
  connection->id = (++server->last_id << 16U) | connection->place;
  server->counters.requests++;
  server->on_request(server->data, connection);
}

static bool has_time(const struct kad_http_server *server) {
  return now_us() < server->turn_us + TURN_US;
}

/* Queues the response if there is one; suspends the connection until then. */
static enum MHD_Result answer_or_wait(struct kad_http_connection *connection) {
  if (connection->response != NULL) {
    return kad_http_response_queue(connection);
  } else if (connection->is_lost) {
    return MHD_NO;
  }
  kad_http_connection_suspend(connection);
  return MHD_YES;
}

/* Has the request handled, now or in a later turn: it is complete. */
static enum MHD_Result complete(struct kad_http_connection *connection) {
  if (connection->state == KAD_HTTP_RECEIVING && has_time(connection->server)) {
    pass_on(connection);
  } else if (connection->state == KAD_HTTP_RECEIVING) {
    kad_http_connection_enter(connection, KAD_HTTP_QUEUED);
  }
  return answer_or_wait(connection);
}

/* Takes a part of the body. */
static enum MHD_Result take_body(struct kad_http_connection *connection,
                                 const char *bytes, size_t *len) {
  const int refusal = kad_http_request_take_body(connection, bytes, *len);
  *len = 0;
  if (refusal != 0) {
    drop(connection, refusal);
    return MHD_NO;
  }
  return MHD_YES;
}

/* An MHD_AccessHandlerCallback. It is called once when the head of a request is
 * there, for each part of its body, and then until a response is queued.
 * NOLINTNEXTLINE(readability-function-size): its type is libmicrohttpd's */
static enum MHD_Result on_access(void *data, struct MHD_Connection *mhd,
                                 const char *url, const char *method,
                                 const char *version, const char *upload,
                                 size_t *upload_len, void **context) {
  (void)data;
  (void)mhd;
  (void)url;
  (void)version;
  struct kad_http_connection *const connection = *context;
  if (connection == NULL || connection->is_lost) {
    return MHD_NO;
  } else if (!connection->is_begun) {
    connection->is_begun = true;
    connection->method = method;
    const int refusal = kad_http_request_check_head(connection);
    if (refusal == 0) {
      return MHD_YES;
    }
    kad_http_respond(connection, refusal, kad_http_refusal(refusal));
    return kad_http_response_queue(connection);
  } else if (*upload_len > 0) {
    return take_body(connection, upload, upload_len);
  }
  return complete(connection);
}

/* An MHD_RequestCompletedCallback: the response is sent, or the connection is
 * at its end. */
static void on_completed(void *data, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code) {
  struct kad_http_server *const server = data;
  struct kad_http_connection *const connection = *context;
  (void)mhd;
  (void)code;
  if (connection == NULL) {
    return;
  }
  const uint64_t id = connection->id;
  *context = NULL;
  kad_http_connection_clear(connection);
  kad_http_connection_enter(connection, connection->is_lost ? KAD_HTTP_ANSWERED
                                                            : KAD_HTTP_WAITING);
  if (id != 0) {
    server->on_lost(server->data, id);
  }
}

/* Requests keep their escapes: the router splits a path before it decodes it.
 */
static size_t keep_escapes(void *data, struct MHD_Connection *mhd, char *text) {
  (void)data;
  (void)mhd;
  return strlen(text);
}

/* -------------------------------------------------------- time limits -- */

/* Answers a request whose handler takes too long. */
static void end_handling(struct kad_http_connection *connection) {
  struct kad_http_server *const server = connection->server;
  const uint64_t id = connection->id;
  kad_http_respond(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                   kad_http_refusal(MHD_HTTP_SERVICE_UNAVAILABLE));
  server->on_lost(server->data, id);
}

/* Returns the time that a connection may be in its state; 0: without limit. */
static uint32_t limit_of(const struct kad_http_connection *connection) {
  const struct kad_http_limits *const limits = &connection->server->limits;
  switch (connection->state) {
  case KAD_HTTP_WAITING:
    return limits->idle_ms;
  case KAD_HTTP_RECEIVING:
    return limits->receive_ms;
  case KAD_HTTP_HANDLED:
    return limits->handle_ms;
  case KAD_HTTP_ANSWERED:
    return limits->send_ms;
  case KAD_HTTP_QUEUED:
  case KAD_HTTP_STREAMING:
    return 0;
  }
  return 0;
}

static void expire(struct kad_http_connection *connection) {
  connection->server->counters.expired++;
  switch (connection->state) {
  case KAD_HTTP_WAITING:
    drop(connection, 0);
    break;
  case KAD_HTTP_RECEIVING:
    drop(connection, MHD_HTTP_REQUEST_TIMEOUT);
    break;
  case KAD_HTTP_HANDLED:
    end_handling(connection);
    break;
  case KAD_HTTP_QUEUED:
  case KAD_HTTP_ANSWERED:
  case KAD_HTTP_STREAMING:
    kad_http_connection_cut(connection);
    break;
  }
}

/* Ends what takes too long, and suspended connections whose clients have gone.
 */
static void sweep(struct kad_http_server *server) {
  server->swept_ms = server->turn_ms;
  for (uint32_t i = 0; i < server->place_count; i++) {
    struct kad_http_connection *const connection = &server->places[i];
    if (connection->mhd == NULL || connection->is_lost) {
      continue;
    }
    const uint32_t limit = limit_of(connection);
    if (connection->is_suspended && kad_http_connection_has_left(connection)) {
      kad_http_connection_cut(connection);
    } else if (limit != 0 && connection->response == NULL &&
               server->turn_ms - connection->since_ms >= limit) {
      expire(connection);
    }
  }
}

/* --------------------------------------------------------------- turns -- */

/* Passes on the requests for which earlier turns had no time. */
static void serve_queued(struct kad_http_server *server) {
  while (server->queued.first != NULL && has_time(server)) {
    struct kad_http_connection *const connection = server->queued.first;
    pass_on(connection);
  }
}

void kad_http_server_step(struct kad_http_server *server) {
  server->turn_us = now_us();
  server->turn_ms = server->turn_us / US_PER_MS;
  server->is_stepping = true;
  serve_queued(server);
  server->has_resumed = false;
  (void)MHD_run(server->daemon);
  if (server->turn_ms - server->swept_ms >= SWEEP_MS) {
    sweep(server);
  }
  server->is_stepping = false;
}

int kad_http_server_fd(const struct kad_http_server *server) {
  return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)
      ->epoll_fd;
}

int64_t kad_http_server_timeout(const struct kad_http_server *server) {
  if (server->has_resumed || server->queued.first != NULL) {
    return 0;
  }
  int64_t timeout = -1;
  MHD_UNSIGNED_LONG_LONG wanted = 0;
  if (MHD_get_timeout(server->daemon, &wanted) == MHD_YES) {
    timeout = wanted < INT32_MAX ? (int64_t)wanted : INT32_MAX;
  }
  if (server->open_count > 0) {
    const int64_t left = server->swept_ms + SWEEP_MS - kad_http_now();
    timeout = timeout < 0 || left < timeout ? left : timeout;
    timeout = timeout < 0 ? 0 : timeout;
  }
  return timeout;
}

struct kad_http_connection *kad_http_server_find(
    const struct kad_http_server *server, uint64_t id) {
  const uint64_t place = id & UINT16_MAX;
  if (server->daemon == NULL || id == 0 || place >= server->place_count) {
    return NULL;
  }
  struct kad_http_connection *const connection = &server->places[place];
  const bool is_it = connection->mhd != NULL && connection->id == id;
  return is_it && !connection->is_lost ? connection : NULL;
}

/* --------------------------------------------------------- open, close -- */

static void free_places(struct kad_http_server *server) {
  const struct kad_http_memory memory = server->memory;
  if (server->places != NULL) {
    (void)memory.allocate(memory.data, server->places,
                          server->place_count * sizeof *server->places, 0);
  }
  if (server->free_places != NULL) {
    (void)memory.allocate(memory.data, server->free_places,
                          server->place_count * sizeof *server->free_places, 0);
  }
  server->places = NULL;
  server->free_places = NULL;
}

/* Returns how many descriptors connections may have, at most `wanted`, beside
 * `others`. A process may raise its limit up to that of the administrator. */
static uint32_t limit_files(uint32_t wanted, uint32_t others) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return wanted;
  }
  const rlim_t needed = (rlim_t)wanted + others;
  if (files.rlim_cur < needed) {
    files.rlim_cur = needed < files.rlim_max ? needed : files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)getrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur >= needed) {
    return wanted;
  }
  return files.rlim_cur > others ? (uint32_t)(files.rlim_cur - others) : 0;
}

/* Fits the limit of connections to the descriptors that there are. Sets
 * `*count` to the connections with those that make room. */
static bool fit_connections(struct kad_http_server *server, uint32_t *count) {
  struct kad_http_limits *const limits = &server->limits;
  const uint32_t possible =
      limit_files(limits->connections + SLACK, limits->other_files);
  const uint32_t slack = possible / 2 < SLACK ? possible / 2 : SLACK;
  if (possible < 2) {
    return false;
  }
  if (limits->connections > possible - slack) {
    limits->connections = possible - slack;
  }
  *count = limits->connections + slack;
  return true;
}

static bool make_places(struct kad_http_server *server, uint32_t count) {
  const struct kad_http_memory memory = server->memory;
  const size_t bytes = count * sizeof *server->places;
  server->place_count = count;
  server->places = memory.allocate(memory.data, NULL, 0, bytes);
  server->free_places = memory.allocate(memory.data, NULL, 0,
                                        count * sizeof *server->free_places);
  if (server->places == NULL || server->free_places == NULL) {
    return false;
  }
  memset(server->places, 0, bytes);
  for (uint32_t i = 0; i < count; i++) {
    server->free_places[i] = (uint16_t)(count - 1 - i);
  }
  server->free_count = count;
  return true;
}

static struct MHD_Daemon *start_daemon(struct kad_http_server *server,
                                       int listen_fd) {
  const struct kad_http_limits *const limits = &server->limits;
  const size_t memory = (size_t)limits->head_bytes + HEAD_SPARE;
  return MHD_start_daemon(
      MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access,
      server, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned int)server->place_count, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
      (unsigned int)limits->address_connections,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
      MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)HEAD_STEP,
      MHD_OPTION_CONNECTION_TIMEOUT,
      (unsigned int)(limits->idle_ms + MS_PER_S - 1) / MS_PER_S,
      MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
      on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
      MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
      MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
}

int kad_http_server_open(struct kad_http_server *server, int listen_fd) {
  server->turn_ms = kad_http_now();
  server->swept_ms = server->turn_ms;
  uint32_t count = 0;
  if (!fit_connections(server, &count)) {
    return EMFILE;
  } else if (!make_places(server, count)) {
    free_places(server);
    return ENOMEM;
  }
  errno = 0;
  server->daemon = start_daemon(server, listen_fd);
  if (server->daemon == NULL) {
    const int number = errno != 0 ? errno : ENOMEM;
    free_places(server);
    return number;
  }
  return 0;
}

void kad_http_server_close(struct kad_http_server *server) {
  if (server->daemon == NULL) {
    return;
  }
  for (uint32_t i = 0; i < server->place_count; i++) {
    if (server->places[i].mhd != NULL) {
      kad_http_connection_cut(&server->places[i]);
    }
  }
  MHD_stop_daemon(server->daemon);
  server->daemon = NULL;
  free_places(server);
}
