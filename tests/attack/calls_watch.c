/* A pipe in the loop of a network, whose ends are closed at random. */
#define _POSIX_C_SOURCE 200809L

#include "calls.h"
#include "kadenza_watch.h"

#include <unistd.h>

enum {
  STEPS = 6,
  RUN_MS = 2
};

struct watched {
  struct kad_calls *it;
  struct kad_watch *watch; /* NULL: it has ended */
};

static void end_watch(struct watched *watched) {
  kad_watch_end(watched->watch);
  watched->watch = NULL;
}

static void on_ready(void *data, unsigned events) {
  struct watched *watched = data;
  struct kad_calls *it = watched->it;
  CHECK(watched->watch != NULL);
  CHECK(events >= 1 && events <= 3);
  if (kad_values_below(it, 4) == 0) {
    end_watch(watched);
  }
  it->depth++;
  it->call(it);
  it->depth--;
}

static void take_step(struct watched *watched, struct kad_network *network,
                      int ends[2]) {
  struct kad_calls *it = watched->it;
  switch (kad_values_below(it, 5)) {
  case 0:
    (void)kad_watch_change(watched->watch, (unsigned)kad_values_below(it, 5));
    break;
  case 1:
    if (ends[0] >= 0) { /* otherwise it is SIGPIPE */
      (void)!write(ends[1], "x", 1);
    }
    break;
  case 2: /* the end that is not watched may be closed */
    if (ends[0] >= 0) {
      (void)close(ends[0]);
      ends[0] = -1;
    }
    break;
  default:
    it->depth++; /* callbacks do not free the network */
    kad_network_run(network, RUN_MS);
    it->depth--;
    break;
  }
}

void kad_calls_special_kad_network_watch(struct kad_calls *it) {
  struct kad_network *network = kad_calls_network(it);
  struct watched watched = {.it = it};
  int ends[2];
  if (it->depth > 0 || it->call == NULL || pipe(ends) != 0) {
    return;
  }
  const int error = kad_network_watch(
      network, ends[1], (unsigned)kad_values_below(it, 5), on_ready, &watched,
      kad_values_below(it, 8) > 0 ? &watched.watch : NULL);
  CHECK((error == 0) == (watched.watch != NULL));
  for (unsigned i = 0; i < STEPS && watched.watch != NULL; i++) {
    take_step(&watched, network, ends);
  }
  end_watch(&watched);
  if (ends[0] >= 0) {
    (void)close(ends[0]);
  }
  (void)close(ends[1]);
}
