#include "sim_overlay.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  GROWTH_S = 60,   /* the overlay grows e-fold in this time */
  FIRST_STEP = 10, /* nodes open as if there were so many more */
  PORT = 6881,
};

void sim_overlay_check(const struct sim_overlay *overlay, const char *what,
                       int error) {
  if (error != 0) {
    fprintf(stderr, "%s: %s: %s\n", overlay->program, what,
            kad_error_text(error));
    exit(1);
  }
}

void *sim_overlay_alloc(const struct sim_overlay *overlay, size_t count,
                        size_t size) {
  void *block = calloc(count, size);
  sim_overlay_check(overlay, "memory", block == NULL ? KAD_ENOMEM : 0);
  return block;
}

uint32_t sim_overlay_draw(struct sim_overlay *overlay, uint32_t bound) {
  uint32_t number = 0;
  kad_network_random(overlay->network, (uint8_t *)&number, sizeof number);
  return number % bound;
}

void sim_overlay_run(struct sim_overlay *overlay, uint32_t span_s) {
  kad_network_run(overlay->network, (kad_time_ms)span_s * SIM_OVERLAY_MS_PER_S);
}

void sim_overlay_init(struct sim_overlay *overlay,
                      const struct kad_sim_config *config,
                      struct kad_allocator allocator) {
  overlay->members =
      sim_overlay_alloc(overlay, overlay->nodes, sizeof *overlay->members);
  kad_config_default(&overlay->config);
  sim_overlay_check(overlay, "network",
                    kad_network_sim_new(config, allocator, &overlay->network));
}

void sim_overlay_deinit(struct sim_overlay *overlay) {
  kad_network_free(overlay->network);
  free(overlay->members);
}

/* -------------------------------------------------------------- growth -- */

static void start_timer(struct sim_overlay *overlay, kad_time_ms after,
                        void (*fire)(void *data), void *data) {
  sim_overlay_check(
      overlay, "timer",
      kad_network_start_timer(overlay->network, after, fire, data, NULL));
}

static struct kad_address address_of(size_t i) {
  return (struct kad_address){
      .family = 4,
      .port = PORT,
      .ip = {(uint8_t)(20 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i, 1},
  };
}

static void join(void *data);

static void on_join(void *data, const struct kad_result *result) {
  struct sim_overlay_node *member = data;
  if (result->status == 0) {
    member->overlay->joined++;
  } else if (result->status != KAD_ECLOSED) {
    start_timer(member->overlay, SIM_OVERLAY_MS_PER_S, join, member);
  }
}

static void join(void *data) {
  struct sim_overlay_node *member = data;
  struct sim_overlay *overlay = member->overlay;
  const uint32_t own = (uint32_t)(member - overlay->members);
  const struct kad_address host = address_of(sim_overlay_draw(overlay, own));
  sim_overlay_check(
      overlay, "bootstrap",
      kad_node_bootstrap(member->node, &host, 1, on_join, member, NULL));
}

static void open_next(void *data);

static void schedule_next(struct sim_overlay *overlay) {
  if (overlay->opened == overlay->nodes) {
    return;
  }
  overlay->next_s += (double)GROWTH_S / (double)(FIRST_STEP + overlay->opened);
  const kad_time_ms at = (kad_time_ms)(overlay->next_s * SIM_OVERLAY_MS_PER_S);
  const kad_time_ms now = kad_network_now(overlay->network);
  start_timer(overlay, at > now ? at - now : 0, open_next, overlay);
}

static void open_next(void *data) {
  struct sim_overlay *overlay = data;
  struct sim_overlay_node *member = &overlay->members[overlay->opened];
  const struct kad_address listen = address_of(overlay->opened);
  member->overlay = overlay;
  sim_overlay_check(overlay, "node",
                    kad_network_open_node(overlay->network, &overlay->config,
                                          &listen, 1, &member->node));
  if (overlay->opened == 0) {
    overlay->joined++;
  } else {
    join(member);
  }
  overlay->opened++;
  schedule_next(overlay);
}

void sim_overlay_grow(struct sim_overlay *overlay) {
  schedule_next(overlay);
  while (overlay->joined < overlay->nodes) {
    sim_overlay_run(overlay, 1);
  }
}
