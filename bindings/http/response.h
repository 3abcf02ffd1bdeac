/* response.h: responses, whole or as a stream. */
#ifndef KAD_HTTP_RESPONSE_H
#define KAD_HTTP_RESPONSE_H

#include "http/connection.h"

/* Answers the request of a HANDLED connection. Takes over `response`. */
void kad_http_respond(struct kad_http_connection *connection, int status,
                      struct MHD_Response *response);

/* Queues the response that a connection has, from the access handler. */
enum MHD_Result kad_http_response_queue(struct kad_http_connection *connection);

/* Returns a response with an error as JSON, or NULL: no memory. */
struct MHD_Response *kad_http_refusal(int status);

/* Writes the same to the socket, for a request that libmicrohttpd still reads.
 */
void kad_http_write_refusal(const struct kad_http_connection *connection,
                            int status);

/* Returns a response whose body is written with kad_http_stream_write, or NULL:
 * no memory. */
struct MHD_Response *kad_http_stream_new(
    struct kad_http_connection *connection);

/* Answers the request of a HANDLED connection with a stream. Takes over
 * `response`; the request's id stays valid. */
void kad_http_begin_stream(struct kad_http_connection *connection, int status,
                           struct MHD_Response *response);

/* Appends to the body of a stream. Returns false if more waits than the limit,
 * or there is no memory; the bytes are not sent then. */
bool kad_http_stream_write(struct kad_http_connection *connection,
                           const char *bytes, size_t len);

/* Ends the body of a stream. */
void kad_http_stream_finish(struct kad_http_connection *connection);

#endif
