/* A UDP echo server: the upper limit with which benchmarks compare a node.
 *
 * It receives a batch with one recvmmsg and sends the same bytes back with one
 * sendmmsg. The difference between its cost and that of a node is the node's
 * own work, not the kernel's.
 *
 *     echo [PORT]          127.0.0.1, port 0 picks a free one
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  BATCH = 64,
  DATAGRAM_BYTES = 2048,
  SOCKET_BUFFER_BYTES = 4 << 20,
};

struct echo {
  struct mmsghdr headers[BATCH];
  struct iovec vectors[BATCH];
  struct sockaddr_in addresses[BATCH];
  uint8_t bytes[BATCH][DATAGRAM_BYTES];
};

static volatile sig_atomic_t stopping;

static void request_stop(int number) {
  (void)number;
  stopping = 1;
}

static void prepare_headers(struct echo *echo) {
  for (size_t i = 0; i < BATCH; i++) {
    echo->vectors[i].iov_base = echo->bytes[i];
    echo->headers[i].msg_hdr.msg_name = &echo->addresses[i];
    echo->headers[i].msg_hdr.msg_iov = &echo->vectors[i];
    echo->headers[i].msg_hdr.msg_iovlen = 1;
  }
}

static void reset_headers(struct echo *echo, int count) {
  for (int i = 0; i < count; i++) {
    echo->vectors[i].iov_len = DATAGRAM_BYTES;
    echo->headers[i].msg_hdr.msg_namelen = sizeof(echo->addresses[i]);
  }
}

/* Sends the batch back. Drops what the socket does not accept at once. */
static void send_back(int fd, struct echo *echo, int count) {
  for (int i = 0; i < count; i++) {
    echo->vectors[i].iov_len = echo->headers[i].msg_len;
  }
  int sent = 0;
  while (sent < count) {
    int n = sendmmsg(fd, echo->headers + sent, (unsigned)(count - sent), 0);
    if (n <= 0) {
      return;
    }
    sent += n;
  }
}

static int serve(int fd) {
  struct echo echo = {0};
  prepare_headers(&echo);
  int count = BATCH;
  while (!stopping) {
    reset_headers(&echo, count);
    count = recvmmsg(fd, echo.headers, BATCH, MSG_WAITFORONE, NULL);
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
      perror("echo: recvmmsg");
      return 1;
    }
    if (count < 0) {
      count = 0;
    }
    send_back(fd, &echo, count);
  }
  return 0;
}

static int open_socket(uint16_t port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -1;
  }
  int size = SOCKET_BUFFER_BYTES;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  /* With a timeout, because a signal may arrive just before the receive blocks.
   */
  struct timeval timeout = {.tv_usec = 100000};
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons(port),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  socklen_t len = sizeof(address);
  if (bind(fd, (struct sockaddr *)&address, len) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
    close(fd);
    return -1;
  }
  printf("echo: listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

static void stop_on_signals(void) {
  struct sigaction action = {.sa_handler = request_stop};
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

int main(int argc, char **argv) {
  char *end = "";
  long port = argc > 1 ? strtol(argv[1], &end, 10) : 0;
  if (argc > 2 || *end != '\0' || port < 0 || port > UINT16_MAX) {
    fputs("usage: echo [PORT]\n", stderr);
    return 2;
  }
  stop_on_signals();
  int fd = open_socket((uint16_t)port);
  if (fd < 0) {
    perror("echo: 127.0.0.1");
    return 1;
  }
  int status = serve(fd);
  close(fd);
  return status;
}
