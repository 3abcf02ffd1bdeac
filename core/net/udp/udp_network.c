/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "base/time.h"
#include "net/udp/udp.h"
#include "net/udp/udp_interface.h"
#include "net/udp/udp_socket.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

enum {
  NS_PER_MS = 1000000,
  NS_PER_US = 1000,
  LOOP_PIPES = 3 /* as many descriptors as a loop takes */
};

static void on_wake(uv_timer_t *timer) {
  struct kad_udp *udp = timer->loop->data;
  udp->wake_at = KAD_TIME_NEVER;
  kad_udp_begin_turn(udp);
  const kad_time_ms now = uv_now(&udp->loop);
  kad_network_fire_due(&udp->base, now);
  kad_network_reschedule(&udp->base);
  kad_network_tick_due(&udp->base, now);
}

/* Sends all datagrams and sets the timer, before the loop waits. A timer that
 * is set for an earlier time stays set: when it fires, it is set again. */
static void prepare_to_wait(struct kad_udp *udp) {
  udp->turn_began_ns = 0;
  kad_outgoing_flush(udp->outgoing);
  kad_network_reschedule(&udp->base);
  const kad_time_ms next = kad_network_next(&udp->base);
  if (next < udp->wake_at) {
    udp->wake_at = next;
    (void)uv_timer_start(&udp->wake, on_wake,
                         kad_time_since(uv_now(&udp->loop), next), 0);
  }
}

/* Runs after the timers and before the poll. */
static void on_prepare(uv_prepare_t *prepare) {
  struct kad_udp *const udp = prepare->loop->data;
  udp->base.turn++;
  prepare_to_wait(udp);
}

static void on_check(uv_check_t *check) {
  struct kad_udp *const udp = check->loop->data;
  udp->base.turn++;
  prepare_to_wait(udp);
}

static void on_end(uv_timer_t *timer) {
  struct kad_udp *udp = timer->loop->data;
  kad_network_stop(&udp->base);
}

static void udp_free(struct kad_network *network) {
  struct kad_udp *udp = kad_udp_of(network);
  kad_udp_resolve_close(udp);
  kad_udp_signal_close(udp);
  kad_udp_watch_close(udp);
  uv_close((uv_handle_t *)&udp->prepare, NULL);
  uv_close((uv_handle_t *)&udp->check, NULL);
  uv_close((uv_handle_t *)&udp->wake, NULL);
  uv_close((uv_handle_t *)&udp->end, NULL);
  /* Runs until every handle is closed. */
  (void)uv_run(&udp->loop, UV_RUN_DEFAULT);
  const int error = uv_loop_close(&udp->loop);
  assert(error == 0);
  (void)error;
  kad_network_free_names(network);
  kad_network_free_requests(network);
  kad_network_deinit(network);
  const struct kad_allocator allocator = network->allocator;
  kad_incoming_free(udp->incoming, &allocator);
  kad_outgoing_free(udp->outgoing, &allocator);
  kad_random_wipe(&udp->random);
  kad_release(&allocator, udp, sizeof *udp);
}

static kad_time_ms udp_now(struct kad_network *network) {
  return uv_now(&kad_udp_of(network)->loop);
}

static uint32_t udp_turn_us(void *state) {
  const struct kad_member *member = state;
  struct kad_udp *udp = kad_udp_of(member->network);
  kad_udp_begin_turn(udp);
  const uint64_t us = (uv_hrtime() - udp->turn_began_ns) / NS_PER_US;
  return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void udp_refresh(struct kad_network *network) {
  uv_update_time(&kad_udp_of(network)->loop);
}

static void udp_random(struct kad_network *network, uint8_t *out, size_t len) {
  kad_random_fill(&kad_udp_of(network)->random, out, len);
}

static int64_t udp_wall_clock(const struct kad_network *network) {
  (void)network;
  uv_timeval64_t time = {0};
  (void)uv_gettimeofday(&time);
  return time.tv_sec;
}

static void udp_run(struct kad_network *network, kad_time_ms duration_ms) {
  struct kad_udp *udp = kad_udp_of(network);
  if (duration_ms != KAD_TIME_NEVER) {
    uv_update_time(&udp->loop);
    (void)uv_timer_start(&udp->end, on_end, duration_ms, 0);
  }
  (void)uv_run(&udp->loop, UV_RUN_DEFAULT);
  (void)uv_timer_stop(&udp->end);
}

/* libuv looks at its timers first, so they are set before. */
static void udp_step(struct kad_network *network) {
  struct kad_udp *udp = kad_udp_of(network);
  prepare_to_wait(udp);
  (void)uv_run(&udp->loop, UV_RUN_NOWAIT);
}

static void udp_stop(struct kad_network *network) {
  uv_stop(&kad_udp_of(network)->loop);
}

static int udp_fd(const struct kad_network *network) {
  return uv_backend_fd(&kad_udp_of(network)->loop);
}

/* libuv counts from the time of the last turn, the caller from now. */
static int udp_timeout(const struct kad_network *network) {
  const struct kad_udp *udp = kad_udp_of(network);
  if (network->dirty != NULL || !kad_outgoing_is_empty(udp->outgoing) ||
      kad_network_next(network) < udp->wake_at) {
    return 0;
  }
  const int timeout_ms = uv_backend_timeout(&udp->loop);
  if (timeout_ms <= 0) {
    return timeout_ms;
  }
  const kad_time_ms passed =
      kad_time_since(uv_now(&udp->loop), uv_hrtime() / NS_PER_MS);
  return (int)kad_time_since(passed, (kad_time_ms)timeout_ms);
}

static const struct kad_network_methods methods = {
    .free = udp_free,
    .open = kad_udp_socket_open,
    .adopt = kad_udp_socket_adopt,
    .now = udp_now,
    .turn_us = udp_turn_us,
    .refresh = udp_refresh,
    .random = udp_random,
    .resolve = kad_udp_resolve,
    .resolve_for = kad_network_resolve_for,
    .is_own = kad_network_is_own,
    .has_ip = kad_udp_has_ip,
    .work = kad_udp_work,
    .on_signal = kad_udp_signal_start,
    .watch = kad_udp_watch,
    .run = udp_run,
    .stop = udp_stop,
    .fd = udp_fd,
    .timeout = udp_timeout,
    .step = udp_step,
    .wall_clock = udp_wall_clock,
};

/* None of these can fail. `prepare` and `check` keep the loop alive, so that it
 * waits although there is no socket and no timer. */
static void start_handles(struct kad_udp *udp) {
  udp->loop.data = udp;
  (void)uv_prepare_init(&udp->loop, &udp->prepare);
  (void)uv_prepare_start(&udp->prepare, on_prepare);
  (void)uv_check_init(&udp->loop, &udp->check);
  (void)uv_check_start(&udp->check, on_check);
  (void)uv_timer_init(&udp->loop, &udp->wake);
  (void)uv_timer_init(&udp->loop, &udp->end);
  udp->wake_at = KAD_TIME_NEVER;
  udp->turn_began_ns = 0;
}

/* Returns 0 if the process may open the descriptors of a loop, or a negative
 * errno. libuv aborts the process if it cannot make its pipe for signals. */
static int check_descriptors(void) {
  uv_file pipes[LOOP_PIPES][2];
  int count = 0;
  int error = 0;
  while (error == 0 && count < LOOP_PIPES) {
    error = uv_pipe(pipes[count], 0, 0);
    count += error == 0;
  }
  while (count > 0) {
    count--;
    (void)close(pipes[count][0]);
    (void)close(pipes[count][1]);
  }
  return error;
}

/* Returns 0, KAD_ENOMEM, or KAD_ESYSTEM with errno set. */
static int start_loop(uv_loop_t *loop) {
  int error = check_descriptors();
  if (error == 0) {
    error = uv_loop_init(loop);
  }
  if (error == 0 || error == UV_ENOMEM) {
    return error == 0 ? 0 : KAD_ENOMEM;
  }
  errno = -error;
  return KAD_ESYSTEM;
}

int kad_network_udp_new(struct kad_allocator allocator,
                        struct kad_network **network) {
  if (network == NULL || allocator.resize == NULL) {
    return KAD_EINVAL;
  }
  int error = kad_random_start();
  if (error < 0) {
    return error;
  }
  struct kad_udp *udp = kad_alloc(&allocator, sizeof *udp);
  struct kad_outgoing *outgoing = kad_outgoing_new(&allocator);
  error = udp == NULL || outgoing == NULL ? KAD_ENOMEM : start_loop(&udp->loop);
  if (error < 0) {
    const int number = errno;
    kad_outgoing_free(outgoing, &allocator);
    kad_release(&allocator, udp, sizeof *udp);
    errno = number;
    return error;
  }
  kad_network_init(&udp->base, &methods, &allocator);
  kad_random_init_secret(&udp->random);
  udp->names = NULL;
  udp->name_lookups = NULL;
  udp->late_lookups.count = 0;
  udp->signals = NULL;
  udp->watches = NULL;
  udp->incoming = NULL;
  udp->outgoing = outgoing;
  start_handles(udp);
  *network = &udp->base;
  return 0;
}
