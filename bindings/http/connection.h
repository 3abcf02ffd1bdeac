/* connection.h: one connection of an HTTP client, and the request that it has.
 *
 * A connection has one request at a time. Its path:
 *
 *   WAITING    no request line has arrived since the last response
 *   RECEIVING  the rest of a request arrives
 *   QUEUED     the request is complete; a later turn passes it to Lua
 *   HANDLED    Lua has it, and owes a response
 *   ANSWERED   the response is being sent
 *   STREAMING  as ANSWERED; Lua writes the body little by little
 *
 * libmicrohttpd owns the socket and what it has parsed. A connection is
 * suspended there while it is QUEUED or HANDLED, and while a stream has nothing
 * to send. */
#ifndef KAD_HTTP_CONNECTION_H
#define KAD_HTTP_CONNECTION_H

#include "http/address.h"
#include "http/buffer.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

enum kad_http_state {
  KAD_HTTP_WAITING,
  KAD_HTTP_RECEIVING,
  KAD_HTTP_QUEUED,
  KAD_HTTP_HANDLED,
  KAD_HTTP_ANSWERED,
  KAD_HTTP_STREAMING,
};

struct kad_http_server;

/* A place in a list of connections. */
struct kad_http_link {
  struct kad_http_connection *previous;
  struct kad_http_connection *next;
};

struct kad_http_list {
  struct kad_http_connection *first;
  struct kad_http_connection *last;
};

struct kad_http_connection {
  struct kad_http_server *server;
  struct MHD_Connection *mhd; /* NULL: the place is free */
  int fd;                     /* of libmicrohttpd */
  uint16_t place;             /* in the server's array */
  enum kad_http_state state;
  bool is_suspended;
  const char *method; /* of the request; borrowed from libmicrohttpd */
  bool is_begun;      /* the head of the request has been checked */
  bool is_finished;   /* Lua has ended its stream */
  bool is_lost;       /* the client has gone, or is cut off */
  uint64_t id;        /* of the request in Lua; 0: Lua has none */
  int64_t since_ms;   /* when it got into its state */
  int refusal;        /* status of a request that Lua does not get; 0: none */
  struct kad_http_link link;     /* of the list of its state */
  struct MHD_Response *response; /* to queue; owned */
  int status;                    /* of the response */
  struct kad_http_buffer target; /* the request's, with its query */
  struct kad_http_buffer body;   /* the request's */
  struct kad_http_buffer output; /* what the stream has not sent yet */
  size_t sent;                   /* bytes of `output` that have been sent */
  char from[KAD_HTTP_ADDRESS_SIZE];
};

/* Appends to a list, or takes out of the list that it is in. */
void kad_http_list_push(struct kad_http_list *list,
                        struct kad_http_connection *connection);
void kad_http_list_remove(struct kad_http_list *list,
                          struct kad_http_connection *connection);

/* Changes the state, and with it the list. */
void kad_http_connection_enter(struct kad_http_connection *connection,
                               enum kad_http_state state);

/* Suspends the connection, or resumes it if it is suspended. A resumed one
 * needs another turn of the server. */
void kad_http_connection_suspend(struct kad_http_connection *connection);
void kad_http_connection_resume(struct kad_http_connection *connection);

/* Ends the connection: libmicrohttpd finds the socket shut down. */
void kad_http_connection_cut(struct kad_http_connection *connection);

/* Frees what the request had. */
void kad_http_connection_clear(struct kad_http_connection *connection);

/* Tells whether the client of a suspended connection has gone. A client that
 * only sends no more may still wait for its response; the client of a stream
 * does not. */
bool kad_http_connection_has_left(const struct kad_http_connection *connection);

#endif
