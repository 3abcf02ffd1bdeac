#ifndef BENCH_SIM_OVERLAY_H
#define BENCH_SIM_OVERLAY_H

#include "kadenza_sim.h"

#include <stddef.h>
#include <stdint.h>

enum {
  SIM_OVERLAY_NODES_MAX = 1000000,
  SIM_OVERLAY_MS_PER_S = 1000,
};

/* A node of the overlay, before and after it is opened. */
struct sim_overlay_node {
  struct sim_overlay *overlay;
  struct kad_node *node; /* NULL when it is not open */
};

/* A simulated overlay that grows: nodes open one after the other, faster the
 * more there are, and each joins by a random node opened before it.
 *
 *     struct sim_overlay overlay = {.program = "bench", .nodes = 1000};
 *     sim_overlay_init(&overlay, &sim_config, kad_allocator_default());
 *     sim_overlay_grow(&overlay);
 *     sim_overlay_deinit(&overlay);
 *
 * An error ends the program with a message. */
struct sim_overlay {
  const char *program;      /* name for messages */
  uint32_t nodes;           /* to open: 2 … SIM_OVERLAY_NODES_MAX */
  struct kad_config config; /* of every node */
  struct kad_network *network;
  struct sim_overlay_node *members; /* as many as `nodes` */
  double next_s;                    /* when the next node opens */
  size_t opened;
  size_t joined;
};

/* Opens the network, and sets `config` to its defaults. `program` and `nodes`
 * are set before. Borrows: `overlay`, until sim_overlay_deinit. */
void sim_overlay_init(struct sim_overlay *overlay,
                      const struct kad_sim_config *config,
                      struct kad_allocator allocator);

/* Closes the network and frees the memory. */
void sim_overlay_deinit(struct sim_overlay *overlay);

/* Opens all nodes and runs the network until they have joined. */
void sim_overlay_grow(struct sim_overlay *overlay);

/* Runs the network for `span_s` seconds of virtual time. */
void sim_overlay_run(struct sim_overlay *overlay, uint32_t span_s);

/* Draws a random number from 0 to `bound` - 1 from the network. */
uint32_t sim_overlay_draw(struct sim_overlay *overlay, uint32_t bound);

/* Returns `count` zeroed blocks of `size` bytes; free them with `free`. */
void *sim_overlay_alloc(const struct sim_overlay *overlay, size_t count,
                        size_t size);

/* Ends the program with a message unless `error` is 0. */
void sim_overlay_check(const struct sim_overlay *overlay, const char *what,
                       int error);

#endif
