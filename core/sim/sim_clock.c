#include "base/time.h"
#include "sim/sim.h"

enum {
  DRIFT_MAX = 100000
};

static const int64_t ppm = 1000000;

/* 31 years: a later deadline never comes. */
static const uint64_t farthest_ms = UINT64_C(1000000000000);

/* 100 years. */
static const int64_t most_offset_s = INT64_C(3155760000);

/* 2020-01-01, when the virtual clock shows 0. */
static const int64_t wall_epoch = 1577836800;

int64_t kad_sim_clock_wall(const struct kad_sim *sim) {
  return wall_epoch + (int64_t)(sim->now / KAD_MS_PER_S);
}

static const struct kad_sim_extra *extra_of(const struct kad_member *base) {
  return kad_container_of(base, struct kad_sim_member, base)->extra;
}

/* Returns the node's time at the network's time `now`. */
static kad_time_ms shown_at(const struct kad_sim_clock *clock,
                            kad_time_ms now) {
  if (clock->stands || now <= clock->since) {
    return clock->shown;
  }
  const uint64_t elapsed = now - clock->since;
  return clock->shown +
         elapsed * (uint64_t)(ppm + clock->drift_ppm) / (uint64_t)ppm;
}

kad_time_ms kad_sim_clock_member_now(struct kad_member *base) {
  return shown_at(&extra_of(base)->clock, kad_sim_of(base->network)->now);
}

int64_t kad_sim_clock_member_wall(const struct kad_member *base) {
  return kad_sim_clock_wall(kad_sim_of(base->network)) +
         extra_of(base)->clock.wall_offset_s;
}

kad_time_ms kad_sim_clock_member_due(const struct kad_member *base,
                                     kad_time_ms at) {
  const struct kad_sim_extra *extra = extra_of(base);
  const struct kad_sim_clock *clock = &extra->clock;
  if (extra->suspended || at == KAD_TIME_NEVER) {
    return KAD_TIME_NEVER;
  }
  if (at <= clock->shown) {
    return clock->since;
  }
  const uint64_t left = at - clock->shown;
  if (left > farthest_ms) {
    return KAD_TIME_NEVER;
  }
  /* Rounds up: the clock must not show less. */
  const uint64_t pace = (uint64_t)(ppm + clock->drift_ppm);
  return clock->since + (left * (uint64_t)ppm + pace - 1) / pace;
}

/* Gives a member a clock of its own, which shows the network's time at first.
 * Sets `*extra` to its extra. Returns 0, KAD_EINVAL or KAD_ENOMEM. */
static int give_clock(struct kad_network *network, struct kad_node *node,
                      struct kad_sim_extra **extra) {
  const struct kad_sim *sim = kad_sim_of(network);
  struct kad_sim_member *member = NULL;
  const int error = kad_sim_member_get_extra(network, node, &member);
  if (error < 0) {
    return error;
  }
  struct kad_sim_clock *clock = &member->extra->clock;
  if (!member->base.own_clock) {
    *clock = (struct kad_sim_clock){.since = sim->now, .shown = sim->now};
    member->base.own_clock = true;
  }
  /* The clock goes on from the time that it shows now. */
  clock->shown = shown_at(clock, sim->now);
  clock->since = sim->now;
  kad_member_mark_dirty(&network->dirty, &member->base);
  *extra = member->extra;
  return 0;
}

int kad_sim_set_clock(struct kad_network *network, struct kad_node *node,
                      int32_t drift_ppm, int64_t wall_offset_s) {
  if (network == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  if (drift_ppm < -DRIFT_MAX || drift_ppm > DRIFT_MAX ||
      wall_offset_s < -most_offset_s || wall_offset_s > most_offset_s) {
    return KAD_EINVAL;
  }
  struct kad_sim_extra *extra = NULL;
  const int error = give_clock(network, node, &extra);
  if (error == 0) {
    extra->clock.drift_ppm = drift_ppm;
    extra->clock.wall_offset_s = wall_offset_s;
  }
  return error;
}

int kad_sim_suspend(struct kad_network *network, struct kad_node *node,
                    bool clock_stands) {
  if (network == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim_extra *extra = NULL;
  const int error = give_clock(network, node, &extra);
  if (error == 0 && !extra->suspended) {
    extra->suspended = true;
    extra->clock.stands = clock_stands;
  }
  return error;
}

int kad_sim_resume(struct kad_network *network, struct kad_node *node) {
  if (network == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim_extra *extra = NULL;
  const int error = give_clock(network, node, &extra);
  if (error == 0) {
    extra->suspended = false;
    extra->clock.stands = false;
  }
  return error;
}
