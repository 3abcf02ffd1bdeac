/* Tested by tests/unit/net/udp/udp_watch_test.c. */

/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "kadenza_watch.h"
#include "net/udp/udp.h"

struct kad_watch {
  uv_poll_t handle;
  struct kad_udp *udp;
  struct kad_watch *next;
  struct kad_watch **link; /* what points to this watch */
  void (*ready)(void *data, unsigned events);
  void *data;
};

static void on_closed(uv_handle_t *handle) {
  struct kad_watch *watch = handle->data;
  kad_release(&watch->udp->base.allocator, watch, sizeof *watch);
}

/* `status` is an error if libuv has stopped to wait for the descriptor. */
static void on_poll(uv_poll_t *handle, int status, int events) {
  struct kad_watch *watch = handle->data;
  struct kad_network *network = &watch->udp->base;
  unsigned found = KAD_WATCH_READ | KAD_WATCH_WRITE;
  if (status == 0) {
    found = ((events & UV_READABLE) != 0 ? KAD_WATCH_READ : 0U) |
            ((events & UV_WRITABLE) != 0 ? KAD_WATCH_WRITE : 0U);
  }
  kad_network_enter(network);
  watch->ready(watch->data, found);
  kad_network_leave(network);
}

static bool are_events(unsigned events) {
  return (events & ~(unsigned)(KAD_WATCH_READ | KAD_WATCH_WRITE)) == 0;
}

static int start(struct kad_watch *watch, unsigned events) {
  const int wanted = ((events & KAD_WATCH_READ) != 0 ? UV_READABLE : 0) |
                     ((events & KAD_WATCH_WRITE) != 0 ? UV_WRITABLE : 0);
  return uv_poll_start(&watch->handle, wanted, on_poll);
}

int kad_udp_watch(struct kad_network *network, int fd, unsigned events,
                  void (*ready)(void *data, unsigned events), void *data,
                  struct kad_watch **watch) {
  struct kad_udp *udp = kad_udp_of(network);
  if (fd < 0 || !are_events(events)) {
    return KAD_EINVAL;
  }
  struct kad_watch *made = kad_alloc_zero(&network->allocator, sizeof *made);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  const int error = uv_poll_init(&udp->loop, &made->handle, fd);
  if (error < 0) {
    kad_release(&network->allocator, made, sizeof *made);
    return error == UV_ENOMEM ? KAD_ENOMEM : KAD_EINVAL;
  }
  made->handle.data = made;
  made->udp = udp;
  made->ready = ready;
  made->data = data;
  made->next = udp->watches;
  made->link = &udp->watches;
  if (made->next != NULL) {
    made->next->link = &made->next;
  }
  udp->watches = made;
  if (start(made, events) < 0) {
    kad_watch_end(made);
    return KAD_EINVAL;
  }
  *watch = made;
  return 0;
}

int kad_watch_change(struct kad_watch *watch, unsigned events) {
  if (watch == NULL || !are_events(events)) {
    return KAD_EINVAL;
  }
  return start(watch, events) == 0 ? 0 : KAD_EINVAL;
}

void kad_watch_end(struct kad_watch *watch) {
  if (watch == NULL) {
    return;
  }
  *watch->link = watch->next;
  if (watch->next != NULL) {
    watch->next->link = watch->link;
  }
  uv_close((uv_handle_t *)&watch->handle, on_closed);
}

void kad_udp_watch_close(struct kad_udp *udp) {
  while (udp->watches != NULL) {
    kad_watch_end(udp->watches);
  }
}
