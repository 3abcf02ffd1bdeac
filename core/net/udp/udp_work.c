/* Work on the threads of libuv's pool. Freeing a network waits for it.
 * Tested by tests/unit/net/udp/udp_work_test.c. */

/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "net/udp/udp.h"

struct work {
  uv_work_t request;
  struct kad_network *network;
  void (*run)(void *data);
  void (*done)(void *data);
  void *data;
};

static void on_run(uv_work_t *request) {
  const struct work *work = kad_container_of(request, struct work, request);
  work->run(work->data);
}

static void on_done(uv_work_t *request, int status) {
  struct work *work = kad_container_of(request, struct work, request);
  struct kad_network *network = work->network;
  (void)status; /* nothing cancels it */
  kad_udp_begin_turn(kad_udp_of(network));
  kad_network_enter(network);
  work->done(work->data);
  kad_network_leave(network);
  kad_release(&network->allocator, work, sizeof *work);
}

int kad_udp_work(struct kad_network *network, void (*run)(void *data),
                 void (*done)(void *data), void *data) {
  struct kad_udp *udp = kad_udp_of(network);
  struct work *work = kad_alloc(&network->allocator, sizeof *work);
  if (work == NULL) {
    return KAD_ENOMEM;
  }
  *work =
      (struct work){.network = network, .run = run, .done = done, .data = data};
  (void)uv_queue_work(&udp->loop, &work->request, on_run, on_done);
  return 0;
}
