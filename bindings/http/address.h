/* address.h: the text of a socket's address. */
#ifndef KAD_HTTP_ADDRESS_H
#define KAD_HTTP_ADDRESS_H

#include <sys/socket.h>

enum {
  KAD_HTTP_ADDRESS_SIZE = 64 /* bytes of "[ADDRESS]:PORT" and its NUL */
};

/* Writes "ADDRESS:PORT" of an IPv4 or IPv6 address. */
void kad_http_format_address(const struct sockaddr *address,
                             char text[KAD_HTTP_ADDRESS_SIZE]);

#endif
