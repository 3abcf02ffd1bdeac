/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "net/udp/udp.h"

/* A callback for a signal. */
struct kad_udp_signal {
  uv_signal_t handle;
  struct kad_udp *udp;
  struct kad_udp_signal *next;
  void (*fire)(void *data);
  void *data;
};

static void on_closed(uv_handle_t *handle) {
  struct kad_udp_signal *signal = handle->data;
  kad_release(&signal->udp->base.allocator, signal, sizeof *signal);
}

static void on_signal(uv_signal_t *handle, int number) {
  (void)number;
  const struct kad_udp_signal *signal = handle->data;
  struct kad_network *network = &signal->udp->base;
  kad_network_enter(network);
  signal->fire(signal->data);
  kad_network_leave(network);
}

int kad_udp_signal_start(struct kad_network *network, int number,
                         void (*fire)(void *data), void *data) {
  struct kad_udp *udp = kad_udp_of(network);
  struct kad_udp_signal *signal =
      kad_alloc_zero(&network->allocator, sizeof *signal);
  if (signal == NULL) {
    return KAD_ENOMEM;
  }
  signal->udp = udp;
  signal->fire = fire;
  signal->data = data;
  signal->handle.data = signal;
  if (uv_signal_init(&udp->loop, &signal->handle) < 0) {
    kad_release(&network->allocator, signal, sizeof *signal);
    return KAD_ENOMEM;
  }
  if (uv_signal_start(&signal->handle, on_signal, number) < 0) {
    uv_close((uv_handle_t *)&signal->handle, on_closed);
    return KAD_EINVAL;
  }
  signal->next = udp->signals;
  udp->signals = signal;
  return 0;
}

void kad_udp_signal_close(struct kad_udp *udp) {
  while (udp->signals != NULL) {
    struct kad_udp_signal *signal = udp->signals;
    udp->signals = signal->next;
    uv_close((uv_handle_t *)&signal->handle, on_closed);
  }
}
