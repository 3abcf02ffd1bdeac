#include "base/time.h"
#include "sim/hostile.h"
#include "sim/nat.h"
#include "sim/sim.h"

/* Returns the socket that a flight reaches; NULL if it was unbound. */
static const struct kad_sim_socket *destination_of(
    const struct kad_sim *sim, const struct kad_sim_flight *flight) {
  return flight->unbound == sim->unbound
             ? flight->socket
             : kad_sim_sockets_find(sim, &flight->to, flight->to_hash);
}

/* Returns true if sender and receiver are in different groups now. */
static bool are_partitioned(const struct kad_sim *sim,
                            const struct kad_sim_flight *flight,
                            const struct kad_sim_member *to) {
  if (!sim->grouped) {
    return false;
  }
  const struct kad_sim_socket *from = kad_sim_sockets_find(
      sim, &flight->from, kad_sim_sockets_hash(&flight->from));
  return to->group != (from != NULL ? from->member->group : flight->group);
}

/* Queues a datagram for its receiver's bandwidth. Returns true if it waits. If
 * the queue is too long, sets its outcome. */
static bool queue_for_receiver(struct kad_sim *sim,
                               struct kad_sim_flight *flight,
                               struct kad_sim_extra *extra) {
  if (extra->bandwidth == 0 || flight->queued) {
    return false;
  }
  const int ms = kad_sim_flight_queue(sim, extra->bandwidth, &flight->to,
                                      flight->len, &extra->received_us);
  flight->queued = true;
  if (ms < 0) {
    flight->outcome = KAD_SIM_OUTCOME_CONGESTED;
  } else if (ms > 0) {
    kad_wheel_add(&sim->flights, &flight->arrival,
                  kad_time_add(sim->now, (kad_time_ms)ms));
  }
  return ms > 0;
}

/* Decides the outcome of a datagram when it arrives. */
static void decide_outcome(const struct kad_sim *sim,
                           struct kad_sim_flight *flight,
                           const struct kad_sim_socket *socket) {
  if (socket == NULL) {
    flight->outcome = KAD_SIM_OUTCOME_UNREACHABLE;
  } else if (are_partitioned(sim, flight, socket->member)) {
    flight->outcome = KAD_SIM_OUTCOME_PARTITIONED;
  } else if (socket->mapped && !kad_nat_admits(socket, &flight->from)) {
    flight->outcome = KAD_SIM_OUTCOME_FILTERED;
  } else if (socket->member->extra != NULL &&
             socket->member->extra->suspended) {
    flight->outcome = KAD_SIM_OUTCOME_SUSPENDED;
  }
}

/* Calls the tracer, which may close nodes. */
static void call_tracer(struct kad_sim *sim,
                        const struct kad_sim_flight *flight) {
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

static void deliver(struct kad_sim *sim, struct kad_sim_flight *flight,
                    const struct kad_sim_socket *socket) {
  const struct kad_slice datagram = {flight->bytes, flight->len};
  sim->stats.delivered_bytes += datagram.len;
  kad_trace_add(&sim->trace, sim->now, &flight->from, &flight->to, datagram);
  flight->from.via = socket->address.via;
  const struct kad_sim_extra *extra = socket->member->extra;
  if (extra != NULL && extra->hostile != NULL &&
      kad_behaviour_takes(extra->hostile, &flight->from, datagram)) {
    return;
  }
  kad_network_deliver(&socket->member->base, &flight->from, datagram);
}

void kad_sim_arrival_end(struct kad_sim *sim, struct kad_sim_flight *flight) {
  const struct kad_sim_socket *socket = NULL;
  if (flight->outcome == KAD_SIM_OUTCOME_DELIVERED) {
    socket = destination_of(sim, flight);
    decide_outcome(sim, flight, socket);
  }
  if (flight->outcome == KAD_SIM_OUTCOME_DELIVERED &&
      socket->member->extra != NULL &&
      queue_for_receiver(sim, flight, socket->member->extra)) {
    return;
  }
  kad_sim_flight_count(sim, (enum kad_sim_outcome)flight->outcome);
  if (sim->tracer != NULL) {
    call_tracer(sim, flight);
    socket = destination_of(sim, flight);
  }
  if (flight->outcome == KAD_SIM_OUTCOME_DELIVERED && socket != NULL) {
    deliver(sim, flight, socket);
  }
  kad_sim_flight_end(sim, flight);
}
