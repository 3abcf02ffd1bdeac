#include "rpc/sealing.h"

#include "base/allocator.h"
#include "engine/node.h"

#include <assert.h>

static uint32_t wall_clock(const struct kad_node *node) {
  return (uint32_t)node->env.wall_clock(node->env.state);
}

int kad_sealing_new(struct kad_node *node,
                    const struct kad_network_keys *keys) {
  if (keys == NULL) {
    return 0;
  }
  struct kad_sealing *sealing =
      kad_alloc_zero(&node->env.allocator, sizeof *sealing);
  if (sealing == NULL) {
    return KAD_ENOMEM;
  }
  kad_seal_init(&sealing->seal, keys);
  /* A datagram from a clock that is fast counts until twice the window. */
  kad_replay_filter_init(&sealing->filter, &node->env.allocator,
                         2 * (kad_time_ms)KAD_SEAL_WINDOW_S * KAD_MS_PER_S,
                         kad_node_now(node));
  node->sealing = sealing;
  return 0;
}

void kad_sealing_free(struct kad_node *node) {
  struct kad_sealing *sealing = node->sealing;
  if (sealing != NULL) {
    kad_seal_wipe(&sealing->seal);
    kad_replay_filter_deinit(&sealing->filter);
    kad_release(&node->env.allocator, sealing, sizeof *sealing);
    node->sealing = NULL;
  }
}

void kad_sealing_set_keys(struct kad_sealing *sealing,
                          const struct kad_network_keys *keys) {
  kad_seal_init(&sealing->seal, keys);
  sealing->first_notice += sealing->notice_count;
  sealing->notice_count = 0;
}

size_t kad_sealing_overhead(const struct kad_node *node) {
  return node->sealing != NULL ? KAD_SEAL_OVERHEAD : 0;
}

struct kad_slice kad_sealing_close(struct kad_node *node,
                                   struct kad_slice message,
                                   uint8_t *datagram) {
  uint8_t nonce[KAD_SEAL_NONCE_SIZE];
  if (node->sealing == NULL) {
    return message;
  }
  node->env.random(node->env.state, nonce, sizeof nonce);
  /* What is sent back to this node is a replay, too. */
  (void)kad_replay_filter_admit(&node->sealing->filter, nonce,
                                kad_node_now(node));
  kad_seal_write(&node->sealing->seal, nonce, wall_clock(node), message,
                 datagram);
  return (struct kad_slice){.data = datagram,
                            .len = message.len + KAD_SEAL_OVERHEAD};
}

/* Returns true if a notice of `problem` and `from` says nothing new. Addresses
 * of one machine or building are no subnet. */
static bool is_noticed(const struct kad_sealing *sealing,
                       enum kad_seal_problem problem,
                       const struct kad_address *from) {
  size_t same = 0;
  for (size_t i = 0; i < sealing->notice_count; i++) {
    const struct kad_seal_notice *notice = &sealing->notices[i];
    if (notice->problem != problem) {
      continue;
    }
    if (kad_address_is_local(from)
            ? kad_address_same_ip(&notice->from, from)
            : kad_address_same_subnet(&notice->from, from)) {
      return true;
    }
    same++;
  }
  return same == KAD_SEAL_NOTICES_MAX / KAD_SEAL_PROBLEMS;
}

static void notice(struct kad_sealing *sealing, enum kad_seal_problem problem,
                   const struct kad_address *from, int64_t ahead_s) {
  if (!is_noticed(sealing, problem, from)) {
    assert(sealing->notice_count < KAD_SEAL_NOTICES_MAX);
    sealing->notices[sealing->notice_count++] = (struct kad_seal_notice){
        .problem = problem, .from = *from, .ahead_s = ahead_s};
  }
}

bool kad_sealing_open(struct kad_node *node, const struct kad_address *from,
                      struct kad_slice *datagram, uint8_t *room) {
  struct kad_sealing *sealing = node->sealing;
  struct kad_opened opened;
  if (sealing == NULL) {
    return true;
  }
  if (kad_seal_open(&sealing->seal, *datagram, room, &opened) != 0) {
    node->stats.dropped_unsealed++;
    notice(sealing, KAD_SEAL_PROBLEM_KEY, from, 0);
    return false;
  }
  /* The difference of 32 bits is right also where they begin again. */
  const int32_t ahead_s = (int32_t)(opened.time_s - wall_clock(node));
  if (ahead_s > KAD_SEAL_WINDOW_S || ahead_s < -KAD_SEAL_WINDOW_S) {
    node->stats.dropped_stale++;
    notice(sealing, KAD_SEAL_PROBLEM_CLOCK, from, ahead_s);
    return false;
  }
  if (!kad_replay_filter_admit(&sealing->filter, datagram->data,
                               kad_node_now(node))) {
    node->stats.dropped_replayed++;
    return false;
  }
  *datagram = opened.message;
  return true;
}
