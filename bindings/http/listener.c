/* For the flags of socket. */
#define _GNU_SOURCE

#include "http/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  BACKLOG = 511
};

/* Binds a socket and listens. Returns 0, or -1 with errno. */
static int listen_on(int fd, const struct addrinfo *address,
                     const char **call) {
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->ai_family == AF_INET6) {
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  *call = "bind";
  if (bind(fd, address->ai_addr, address->ai_addrlen) != 0) {
    return -1;
  }
  *call = "listen";
  return listen(fd, BACKLOG);
}

int kad_http_listen(const char *host, const char *port, const char **call) {
  const struct addrinfo hints = {
      .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
      .ai_family = AF_UNSPEC,
      .ai_socktype = SOCK_STREAM,
  };
  struct addrinfo *address = NULL;
  *call = "address";
  if (getaddrinfo(host, port, &hints, &address) != 0) {
    errno = EINVAL;
    return -1;
  }
  *call = "socket";
  int fd =
      socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && listen_on(fd, address, call) != 0) {
    const int number = errno;
    (void)close(fd);
    errno = number;
    fd = -1;
  }
  freeaddrinfo(address);
  return fd;
}

int kad_http_socket_address(int fd, char text[KAD_HTTP_ADDRESS_SIZE]) {
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
    return -1;
  }
  kad_http_format_address((const struct sockaddr *)&address, text);
  return 0;
}
