/* listener.h: listening sockets of HTTP servers. */
#ifndef KAD_HTTP_LISTENER_H
#define KAD_HTTP_LISTENER_H

#include "http/address.h"

/* Opens a socket that listens on an IP address. Returns it, or -1: errno tells
 * why, and `*call` which system call failed. */
int kad_http_listen(const char *host, const char *port, const char **call);

/* Writes the address and port of a socket into `text`. Returns 0, or -1 with
 * errno. */
int kad_http_socket_address(int fd, char text[KAD_HTTP_ADDRESS_SIZE]);

#endif
