#include "sim/hostile.h"

#include "base/allocator.h"
#include "base/array.h"
#include "base/time.h"
#include "wire/codec.h"

#include <string.h>

enum {
  USUAL_PER_S = 10,
  MOST_PER_S = 1000
};

uint64_t kad_hostile_draw(struct kad_hostile *hostile, uint64_t count) {
  hostile->draws += UINT64_C(0x9e3779b97f4a7c15);
  return kad_sim_mix(hostile->draws) % count;
}

void kad_hostile_fill(struct kad_hostile *hostile, uint8_t *out, size_t len) {
  for (size_t i = 0; i < len; i++) {
    out[i] = (uint8_t)kad_hostile_draw(hostile, 256);
  }
}

size_t kad_hostile_id_size(const struct kad_hostile *hostile) {
  return kad_node_config(hostile->member->base.node)->id_bits / 8;
}

void kad_hostile_send(struct kad_hostile *hostile, const struct kad_address *to,
                      const struct kad_message *message) {
  const struct kad_codec *codec = kad_codec_krpc();
  uint8_t bytes[KAD_NETWORK_DATAGRAM_MAX];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  const int i = kad_member_source(&hostile->member->base, to);
  if (i >= 0 && codec->encode(codec->state, message,
                              kad_hostile_id_size(hostile), &writer) == 0) {
    const struct kad_slice datagram = {bytes, writer.len};
    kad_sim_transmit(hostile->member, i, to, datagram);
  }
}

bool kad_hostile_takes(struct kad_hostile *hostile,
                       const struct kad_address *from,
                       struct kad_slice datagram) {
  uint8_t space[KAD_CODEC_SCRATCH];
  struct kad_writer scratch = {.data = space, .cap = sizeof space};
  struct kad_message message;
  const bool is_message =
      kad_codec_read(kad_codec_krpc(), datagram, kad_hostile_id_size(hostile),
                     &message, &scratch) == 0;
  if (hostile->memory != NULL) {
    return kad_hostile_learn(hostile, from, datagram,
                             is_message ? &message : NULL);
  }
  return is_message && message.kind == KAD_MESSAGE_QUERY &&
         kad_hostile_lie(hostile, from, &message);
}

/* ---------------------------------------------------------------- timer -- */

static void fire(void *data);

/* Returns 0 or KAD_ENOMEM; then it sends nothing by itself. */
static int plan(struct kad_hostile *hostile) {
  const kad_time_ms pause_ms = KAD_MS_PER_S / hostile->how.per_s;
  hostile->timer = 0;
  return kad_network_start_timer(hostile->member->base.network, pause_ms, fire,
                                 hostile, &hostile->timer);
}

static void fire(void *data) {
  struct kad_hostile *hostile = data;
  if (!hostile->member->extra->asleep) {
    kad_hostile_strike(hostile);
  }
  if (plan(hostile) < 0) {
    kad_sim_of(hostile->member->base.network)->stats.dropped++;
  }
}

/* -------------------------------------------------------- all of them -- */

static int enlist(struct kad_sim *sim, struct kad_hostile *hostile) {
  const size_t cap = sim->hostile_cap > 0 ? 2 * sim->hostile_cap : 16;
  if (sim->hostile_count == sim->hostile_cap &&
      KAD_ARRAY_RESERVE(&sim->base.allocator, &sim->hostiles, &sim->hostile_cap,
                        cap) != 0) {
    return KAD_ENOMEM;
  }
  hostile->place = sim->hostile_count;
  sim->hostiles[sim->hostile_count++] = hostile;
  return 0;
}

static void discharge(struct kad_sim *sim, const struct kad_hostile *hostile) {
  struct kad_hostile *last = sim->hostiles[--sim->hostile_count];
  sim->hostiles[hostile->place] = last;
  last->place = hostile->place;
}

static void release(struct kad_hostile *hostile) {
  const struct kad_allocator *allocator =
      &hostile->member->base.network->allocator;
  kad_release(allocator, hostile->memory, sizeof *hostile->memory);
  kad_release(allocator, hostile, sizeof *hostile);
}

void kad_hostile_end(struct kad_hostile *hostile) {
  if (hostile == NULL) {
    return;
  }
  struct kad_network *network = hostile->member->base.network;
  if (hostile->timer != 0) {
    (void)kad_network_stop_timer(network, hostile->timer);
  }
  discharge(kad_sim_of(network), hostile);
  release(hostile);
}

static bool strikes(enum kad_sim_behaviour behaviour) {
  return behaviour == KAD_SIM_BEHAVIOUR_FLOODER ||
         behaviour == KAD_SIM_BEHAVIOUR_REPLAYER ||
         behaviour == KAD_SIM_BEHAVIOUR_GARBAGE;
}

static struct kad_hostile *make(struct kad_sim_member *member,
                                const struct kad_sim_hostility *how) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  struct kad_hostile *made = kad_alloc_zero(&sim->base.allocator, sizeof *made);
  if (made == NULL) {
    return NULL;
  }
  made->member = member;
  made->how = *how;
  made->how.per_s = how->per_s > 0 ? how->per_s : USUAL_PER_S;
  made->draws = kad_sim_mix(sim->pairs + member->number);
  const bool active = strikes(how->behaviour);
  if (active) {
    made->memory = kad_alloc_zero(&sim->base.allocator, sizeof *made->memory);
  }
  if ((active && made->memory == NULL) || enlist(sim, made) < 0) {
    release(made);
    return NULL;
  }
  return made;
}

static bool is_valid(const struct kad_sim_hostility *how) {
  switch (how->behaviour) {
  case KAD_SIM_BEHAVIOUR_HONEST:
  case KAD_SIM_BEHAVIOUR_SILENT:
  case KAD_SIM_BEHAVIOUR_LIAR:
  case KAD_SIM_BEHAVIOUR_SYBIL:
  case KAD_SIM_BEHAVIOUR_FLOODER:
  case KAD_SIM_BEHAVIOUR_REPLAYER:
  case KAD_SIM_BEHAVIOUR_GARBAGE:
    return how->per_s <= MOST_PER_S;
  }
  return false;
}

int kad_sim_set_behaviour(struct kad_network *network, struct kad_node *node,
                          const struct kad_sim_hostility *hostility) {
  struct kad_sim_member *member = kad_sim_find_member(network, node);
  if (member == NULL || !is_valid(hostility)) {
    return KAD_EINVAL;
  }
  struct kad_sim_extra *extra = kad_sim_extra_of(member);
  if (extra == NULL) {
    return KAD_ENOMEM;
  }
  struct kad_hostile *made = NULL;
  if (hostility->behaviour != KAD_SIM_BEHAVIOUR_HONEST) {
    made = make(member, hostility);
    if (made == NULL) {
      return KAD_ENOMEM;
    }
  }
  if (made != NULL && made->memory != NULL && plan(made) < 0) {
    kad_hostile_end(made);
    return KAD_ENOMEM;
  }
  kad_hostile_end(extra->hostile);
  extra->hostile = made;
  return 0;
}
