#include "base/allocator.h"
#include "base/array.h"
#include "base/time.h"
#include "sim/hostile.h"
#include "wire/codec.h"

enum {
  PER_S_DEFAULT = 10,
  PER_S_MAX = 1000
};

bool kad_behaviour_takes(struct kad_hostile *hostile,
                         const struct kad_address *from,
                         struct kad_slice datagram) {
  uint8_t space[KAD_CODEC_SCRATCH];
  struct kad_writer scratch = {.data = space, .cap = sizeof space};
  struct kad_message message;
  const bool is_message =
      kad_codec_read(kad_codec_krpc(), datagram, kad_hostile_id_size(hostile),
                     &message, &scratch) == 0;
  if (hostile->memory != NULL) {
    return kad_hostile_sender_learn(hostile, from, datagram,
                                    is_message ? &message : NULL);
  }
  return is_message && message.kind == KAD_MESSAGE_QUERY &&
         kad_hostile_liar_reply(hostile, from, &message);
}

static void fire(void *data);

/* Plans the next datagram. Returns 0 or KAD_ENOMEM: then it sends no more. */
static int plan_send(struct kad_hostile *hostile) {
  const kad_time_ms pause_ms = KAD_MS_PER_S / hostile->hostility.per_s;
  hostile->timer = 0;
  return kad_network_start_timer(hostile->member->base.network, pause_ms, fire,
                                 hostile, &hostile->timer);
}

static void fire(void *data) {
  struct kad_hostile *hostile = data;
  if (!hostile->member->extra->suspended) {
    kad_hostile_sender_send(hostile);
  }
  if (plan_send(hostile) < 0) {
    kad_sim_of(hostile->member->base.network)->stats.dropped++;
  }
}

static int add_hostile(struct kad_sim *sim, struct kad_hostile *hostile) {
  const size_t cap = sim->hostile_cap > 0 ? 2 * sim->hostile_cap : 16;
  if (sim->hostile_count == sim->hostile_cap &&
      kad_array_reserve(&sim->base.allocator, &sim->hostiles, &sim->hostile_cap,
                        cap, sizeof(void *)) != 0) {
    return KAD_ENOMEM;
  }
  hostile->index = sim->hostile_count;
  sim->hostiles[sim->hostile_count++] = hostile;
  return 0;
}

static void remove_hostile(struct kad_sim *sim,
                           const struct kad_hostile *hostile) {
  struct kad_hostile *last = sim->hostiles[--sim->hostile_count];
  sim->hostiles[hostile->index] = last;
  last->index = hostile->index;
}

static void free_hostile(struct kad_hostile *hostile) {
  const struct kad_allocator *allocator =
      &hostile->member->base.network->allocator;
  kad_release(allocator, hostile->memory, sizeof *hostile->memory);
  kad_release(allocator, hostile, sizeof *hostile);
}

void kad_behaviour_end(struct kad_hostile *hostile) {
  if (hostile == NULL) {
    return;
  }
  struct kad_network *network = hostile->member->base.network;
  if (hostile->timer != 0) {
    (void)kad_network_stop_timer(network, hostile->timer);
  }
  remove_hostile(kad_sim_of(network), hostile);
  free_hostile(hostile);
}

static bool sends_by_itself(enum kad_sim_behaviour behaviour) {
  return behaviour == KAD_SIM_BEHAVIOUR_FLOODER ||
         behaviour == KAD_SIM_BEHAVIOUR_REPLAYER ||
         behaviour == KAD_SIM_BEHAVIOUR_GARBAGE;
}

static struct kad_hostile *new_hostile(
    struct kad_sim_member *member, const struct kad_sim_hostility *hostility) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  struct kad_hostile *made = kad_alloc_zero(&sim->base.allocator, sizeof *made);
  if (made == NULL) {
    return NULL;
  }
  made->member = member;
  made->hostility = *hostility;
  made->hostility.per_s =
      hostility->per_s > 0 ? hostility->per_s : PER_S_DEFAULT;
  made->draws = kad_sim_mix(sim->pair_seed + member->number);
  const bool active = sends_by_itself(hostility->behaviour);
  if (active) {
    made->memory = kad_alloc_zero(&sim->base.allocator, sizeof *made->memory);
  }
  if ((active && made->memory == NULL) || add_hostile(sim, made) < 0) {
    free_hostile(made);
    return NULL;
  }
  return made;
}

static bool is_valid(const struct kad_sim_hostility *hostility) {
  return (unsigned)hostility->behaviour < KAD_SIM_BEHAVIOUR_COUNT &&
         hostility->per_s <= PER_S_MAX;
}

int kad_sim_set_behaviour(struct kad_network *network, struct kad_node *node,
                          const struct kad_sim_hostility *hostility) {
  if (network == NULL || node == NULL || hostility == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim_member *member = NULL;
  if (!is_valid(hostility)) {
    return KAD_EINVAL;
  }
  const int error = kad_sim_member_get_extra(network, node, &member);
  if (error < 0) {
    return error;
  }
  struct kad_hostile *made = NULL;
  if (hostility->behaviour != KAD_SIM_BEHAVIOUR_HONEST) {
    made = new_hostile(member, hostility);
    if (made == NULL) {
      return KAD_ENOMEM;
    }
  }
  if (made != NULL && made->memory != NULL && plan_send(made) < 0) {
    kad_behaviour_end(made);
    return KAD_ENOMEM;
  }
  kad_behaviour_end(member->extra->hostile);
  member->extra->hostile = made;
  return 0;
}
