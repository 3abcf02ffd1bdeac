#include "base/time.h"
#include "sim/hostile.h"
#include "sim/nat.h"

static uint64_t *counter(struct kad_sim_stats *stats,
                         enum kad_sim_outcome outcome) {
  switch (outcome) {
  case KAD_SIM_OUTCOME_DELIVERED:
    return &stats->delivered;
  case KAD_SIM_OUTCOME_LOST:
    return &stats->lost;
  case KAD_SIM_OUTCOME_CONGESTED:
    return &stats->congested;
  case KAD_SIM_OUTCOME_PARTITIONED:
    return &stats->partitioned;
  case KAD_SIM_OUTCOME_ASLEEP:
    return &stats->asleep;
  case KAD_SIM_OUTCOME_UNREACHABLE:
    return &stats->unreachable;
  case KAD_SIM_OUTCOME_FILTERED:
    return &stats->filtered;
  }
  return &stats->dropped;
}

void kad_sim_count(struct kad_sim *sim, enum kad_sim_outcome outcome) {
  (*counter(&sim->stats, outcome))++;
}

const char *kad_sim_outcome_name(enum kad_sim_outcome outcome) {
  switch (outcome) {
  case KAD_SIM_OUTCOME_DELIVERED:
    return "delivered";
  case KAD_SIM_OUTCOME_LOST:
    return "lost";
  case KAD_SIM_OUTCOME_CONGESTED:
    return "congested";
  case KAD_SIM_OUTCOME_PARTITIONED:
    return "partitioned";
  case KAD_SIM_OUTCOME_ASLEEP:
    return "asleep";
  case KAD_SIM_OUTCOME_UNREACHABLE:
    return "unreachable";
  case KAD_SIM_OUTCOME_FILTERED:
    return "filtered";
  }
  return "unknown";
}

/* Returns where a flight ends, or NULL if nobody is there any more. */
static const struct kad_sim_socket *end_of(
    const struct kad_sim *sim, const struct kad_sim_flight *flight) {
  return flight->unbound == sim->unbound
             ? flight->socket
             : kad_sim_find(sim, &flight->to, flight->to_hash);
}

/* Tells whether sender and receiver are in different groups by now. */
static bool is_parted(const struct kad_sim *sim,
                      const struct kad_sim_flight *flight,
                      const struct kad_sim_member *to) {
  if (!sim->grouped) {
    return false;
  }
  const struct kad_sim_socket *from =
      kad_sim_find(sim, &flight->from, kad_sim_hash(&flight->from));
  return to->group != (from != NULL ? from->member->group : flight->group);
}

/* Lets a datagram wait for its receiver's bandwidth. Returns true if it waits;
 * `flight->outcome` may be that it is lost. */
static bool waits(struct kad_sim *sim, struct kad_sim_flight *flight,
                  struct kad_sim_extra *extra) {
  if (extra->bandwidth == 0 || flight->queued) {
    return false;
  }
  const int ms = kad_sim_queue(sim, extra->bandwidth, &flight->to, flight->len,
                               &extra->heard_us);
  flight->queued = true;
  if (ms < 0) {
    flight->outcome = KAD_SIM_OUTCOME_CONGESTED;
  } else if (ms > 0) {
    kad_wheel_add(&sim->flights, &flight->arrival,
                  kad_time_add(sim->now, (kad_time_ms)ms));
  }
  return ms > 0;
}

/* Decides the outcome of a flight that has come to its end. */
static void judge(const struct kad_sim *sim, struct kad_sim_flight *flight,
                  const struct kad_sim_socket *socket) {
  if (socket == NULL) {
    flight->outcome = KAD_SIM_OUTCOME_UNREACHABLE;
  } else if (is_parted(sim, flight, socket->member)) {
    flight->outcome = KAD_SIM_OUTCOME_PARTITIONED;
  } else if (socket->mapped && !kad_nat_admits(socket, &flight->from)) {
    flight->outcome = KAD_SIM_OUTCOME_FILTERED;
  } else if (socket->member->extra != NULL && socket->member->extra->asleep) {
    flight->outcome = KAD_SIM_OUTCOME_ASLEEP;
  }
}

/* Tells the tracer, who may close nodes. */
static void trace(struct kad_sim *sim, const struct kad_sim_flight *flight) {
  const struct kad_sim_event event = {
      .at = sim->now,
      .outcome = (enum kad_sim_outcome)flight->outcome,
      .from = &flight->from,
      .to = &flight->to,
      .bytes = {flight->bytes, flight->len},
  };
  kad_network_enter(&sim->base);
  sim->tracer(sim->tracer_data, &event);
  kad_network_leave(&sim->base);
}

static void receive(struct kad_sim *sim, struct kad_sim_flight *flight,
                    const struct kad_sim_socket *socket) {
  const struct kad_slice datagram = {flight->bytes, flight->len};
  sim->stats.delivered_bytes += datagram.len;
  kad_trace_add(&sim->trace, sim->now, &flight->from, &flight->to, datagram);
  flight->from.via = socket->address.via;
  const struct kad_sim_extra *extra = socket->member->extra;
  if (extra != NULL && extra->hostile != NULL &&
      kad_hostile_takes(extra->hostile, &flight->from, datagram)) {
    return;
  }
  kad_network_deliver(&socket->member->base, &flight->from, datagram);
}

void kad_sim_arrive(struct kad_sim *sim, struct kad_sim_flight *flight) {
  const struct kad_sim_socket *socket = NULL;
  if (flight->outcome == KAD_SIM_OUTCOME_DELIVERED) {
    socket = end_of(sim, flight);
    judge(sim, flight, socket);
  }
  if (flight->outcome == KAD_SIM_OUTCOME_DELIVERED &&
      socket->member->extra != NULL &&
      waits(sim, flight, socket->member->extra)) {
    return;
  }
  kad_sim_count(sim, (enum kad_sim_outcome)flight->outcome);
  if (sim->tracer != NULL) {
    trace(sim, flight);
    socket = end_of(sim, flight);
  }
  if (flight->outcome == KAD_SIM_OUTCOME_DELIVERED && socket != NULL) {
    receive(sim, flight, socket);
  }
  kad_sim_give_back(sim, flight);
}
