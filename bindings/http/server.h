/* server.h: an HTTP server over libmicrohttpd, driven by a loop of others.
 *
 * libmicrohttpd runs without a thread: everything happens in
 * kad_http_server_step. A request is passed on when it is complete, and
 * answered at once or later. */
#ifndef KAD_HTTP_SERVER_H
#define KAD_HTTP_SERVER_H

#include "http/connection.h"

#include <netinet/in.h>

enum {
  KAD_HTTP_CONNECTIONS_MAX = 60000,
  KAD_HTTP_FILES_MAX = 1000000
};

struct kad_http_limits {
  uint32_t connections;
  uint32_t address_connections; /* of one address */
  uint32_t other_files;         /* descriptors that are not for connections */
  uint32_t target_bytes;        /* of a request's target */
  uint32_t head_bytes;          /* of a request's line and headers */
  uint32_t body_bytes;
  uint32_t bodies_bytes; /* of all bodies together */
  uint32_t stream_bytes; /* that a stream may have to send */
  uint32_t idle_ms;      /* without a request, or without any progress */
  uint32_t receive_ms;   /* from the request line to the end of the request */
  uint32_t handle_ms;    /* until a response */
  uint32_t send_ms;      /* of a response that is no stream */
};

/* Counters since the start. */
struct kad_http_counters {
  uint64_t accepted; /* connections */
  uint64_t refused;  /* connections: all others are busy */
  uint64_t evicted;  /* connections without a request that made room */
  uint64_t expired;  /* connections cut off at a time limit */
  uint64_t requests;
};

struct kad_http_server {
  struct MHD_Daemon *daemon; /* NULL: closed */
  struct kad_http_memory memory;
  struct kad_http_limits limits;
  struct kad_http_counters counters;
  struct kad_http_connection *places; /* `place_count` of them */
  uint16_t *free_places;              /* a stack */
  uint32_t place_count;
  uint32_t free_count;
  uint32_t open_count;
  uint64_t last_id;
  size_t bodies_bytes;
  struct kad_http_list
      without_request; /* WAITING and RECEIVING, oldest first */
  struct kad_http_list queued;
  int64_t swept_ms; /* when the time limits were last checked */
  int64_t turn_us;  /* when the turn began */
  int64_t turn_ms;
  bool is_stepping;
  bool has_resumed; /* libmicrohttpd has to run */
  /* Called for each complete request; `connection` is HANDLED. */
  void (*on_request)(void *data, struct kad_http_connection *connection);
  /* Called when the client of a HANDLED or STREAMING request has gone, or has
   * waited for too long. The request's id is not valid any more. */
  void (*on_lost)(void *data, uint64_t id);
  void *data;
};

/* Starts the server on a listening socket, which it takes over if it succeeds.
 * The fields limits, memory, on_request, on_lost and data are set. Lowers the
 * limit of connections if the system does not let the process have as many
 * descriptors. Returns 0 or an errno. */
int kad_http_server_open(struct kad_http_server *server, int listen_fd);

/* Ends all connections and the server. Calls on_lost. */
void kad_http_server_close(struct kad_http_server *server);

/* Does the work that is due. */
void kad_http_server_step(struct kad_http_server *server);

/* Returns the descriptor that is readable when there is work. */
int kad_http_server_fd(const struct kad_http_server *server);

/* Returns the milliseconds after which to call step in any case; -1: never. */
int64_t kad_http_server_timeout(const struct kad_http_server *server);

/* Returns the connection whose request has an id, or NULL: its client has gone.
 */
struct kad_http_connection *kad_http_server_find(
    const struct kad_http_server *server, uint64_t id);

/* Milliseconds of the monotonic clock. */
int64_t kad_http_now(void);

#endif
