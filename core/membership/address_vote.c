#include "membership/address_vote.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

void kad_address_vote_deinit(struct kad_node *node,
                             struct kad_address_vote *vote) {
  kad_release(&node->env.allocator, vote->votes,
              vote->votes != NULL ? KAD_VOTE_WINDOW * sizeof *vote->votes : 0);
  *vote = (struct kad_address_vote){0};
}

static uint32_t hash(const struct kad_node *node, const uint8_t *bytes,
                     size_t len) {
  return (uint32_t)kad_map_hash(&node->storing, bytes, len);
}

/* Makes room for the votes. Returns false when out of memory. */
static bool reserve(struct kad_node *node, struct kad_address_vote *vote) {
  if (vote->votes == NULL) {
    vote->votes = kad_alloc_zero(&node->env.allocator,
                                 KAD_VOTE_WINDOW * sizeof *vote->votes);
  }
  return vote->votes != NULL;
}

/* Returns the place of the vote of `subnet`: its former one, a free one, or the
 * one to replace. */
static struct kad_vote *find_place(struct kad_address_vote *vote,
                                   uint32_t subnet) {
  for (size_t i = 0; i < vote->count; i++) {
    if (vote->votes[i].subnet == subnet) {
      return &vote->votes[i];
    }
  }
  if (vote->count < KAD_VOTE_WINDOW) {
    return &vote->votes[vote->count++];
  }
  struct kad_vote *place = &vote->votes[vote->next];
  vote->next = (uint8_t)((vote->next + 1) % KAD_VOTE_WINDOW);
  return place;
}

static unsigned count_votes(const struct kad_address_vote *vote, uint32_t ip) {
  unsigned votes = 0;
  for (size_t i = 0; i < vote->count; i++) {
    votes += vote->votes[i].ip == ip;
  }
  return votes;
}

/* Returns true if the address with `votes` of all votes wins. */
static bool has_won(struct kad_address_vote *vote, unsigned votes,
                    kad_time_ms now) {
  const unsigned others = vote->count - votes;
  if (others > 0 || vote->count == 1) {
    vote->agreed_since = now;
  }
  return votes >= others + KAD_VOTE_MARGIN ||
         (votes >= KAD_VOTE_FEW &&
          kad_time_since(vote->agreed_since, now) >= KAD_VOTE_FEW_MS);
}

bool kad_address_vote_add(struct kad_node *node, struct kad_address_vote *vote,
                          const struct kad_address *voter,
                          const struct kad_address *observed) {
  if (!reserve(node, vote)) {
    return false;
  }
  const uint32_t subnet = hash(node, voter->ip, kad_address_subnet_size(voter));
  const struct kad_vote cast = {
      .subnet = subnet,
      .ip = hash(node, observed->ip, kad_address_ip_size(observed)),
  };
  *find_place(vote, subnet) = cast;
  if (!has_won(vote, count_votes(vote, cast.ip), kad_node_now(node)) ||
      kad_address_same_ip(&vote->winner, observed)) {
    return false;
  }
  vote->winner = *observed;
  vote->winner.port = 0;
  vote->winner.via = 0;
  return true;
}
