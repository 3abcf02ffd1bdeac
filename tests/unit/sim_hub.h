/* What tests of simulated networks share: a hub that pings others. */
#ifndef KAD_SIM_HUB_H
#define KAD_SIM_HUB_H

#include "counting_allocator.h"
#include "kadenza.h"

enum {
  KAD_HUB_OTHERS = 600
};

struct kad_hub;

/* A ping that the hub waits for. */
struct kad_hub_wait {
  struct kad_hub *hub;
  size_t i;
};

/* Must not move. */
struct kad_hub {
  struct kad_counting_allocator counting;
  struct kad_network *network;
  struct kad_node *hub;
  struct kad_node *others[KAD_HUB_OTHERS]; /* at kad_overlay_address(i) */
  struct kad_hub_wait waits[KAD_HUB_OTHERS];
  uint32_t took_ms[KAD_HUB_OTHERS]; /* by the last ping; 0 for no answer */
  size_t ended;                     /* pings */
};

/* Makes a network with the hub, at kad_overlay_address(KAD_HUB_OTHERS), and
 * `count` others. */
void kad_hub_open(struct kad_hub *hub, const struct kad_sim_config *config,
                  size_t count);

/* Frees it, and fails the test if memory is left. */
void kad_hub_close(struct kad_hub *hub);

/* Opens one more node, without limits and patient, at `listen`. */
struct kad_node *kad_hub_add(struct kad_hub *hub,
                             const struct kad_address *listen);

/* Begins to ping other `i` from `from`; what comes of it is noted there. */
void kad_hub_ping(struct kad_hub *hub, struct kad_node *from,
                  const struct kad_address *to, size_t i);

/* Pings the first `count` others and waits for what comes of it. */
void kad_hub_ping_all(struct kad_hub *hub, size_t count);

/* Returns whether `from` can ping `to`, after a minute. */
bool kad_hub_reaches(struct kad_hub *hub, struct kad_node *from,
                     const struct kad_address *to);

/* Returns how many of the first `count` have answered. */
size_t kad_hub_answered(const struct kad_hub *hub, size_t count);

/* Lets `span_ms` pass. */
void kad_hub_run(struct kad_hub *hub, kad_time_ms span_ms);

/* Returns the counters of the network. */
struct kad_sim_stats kad_hub_stats(const struct kad_hub *hub);

#endif
