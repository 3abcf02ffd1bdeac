/* Messages that strangers send: every query of the protocol, and replies to the
 * queries of the node. They are well-formed; mutate.h changes that. */
#ifndef KAD_ATTACK_FORGE_H
#define KAD_ATTACK_FORGE_H

#include "victim.h"

enum {
  KAD_FORGE_TOKENS = 8
};

/* Write tokens that the node has given to strangers. */
struct kad_forge {
  uint8_t tokens[KAD_FORGE_TOKENS][KAD_TOKEN_MAX];
  size_t lens[KAD_FORGE_TOKENS];
  struct kad_address owners[KAD_FORGE_TOKENS];
  struct kad_id targets[KAD_FORGE_TOKENS]; /* the keys that they are for */
  size_t token_count;
};

/* Remembers the token for `target` of a reply of the node to `owner`. */
void kad_forge_learn(struct kad_forge *forge, const struct kad_address *owner,
                     const struct kad_id *target, struct kad_slice token);

/* Makes a query of `from`, mostly with its own token and its key. */
void kad_forge_query(const struct kad_forge *forge,
                     const struct kad_victim *victim, struct kad_dice *dice,
                     const struct kad_contact *from,
                     struct kad_message *message);

/* Makes a reply, or an error, of `from` to `query`, which borrows it. */
void kad_forge_reply(const struct kad_victim *victim, struct kad_dice *dice,
                     const struct kad_contact *from,
                     const struct kad_message *query,
                     struct kad_message *message);

#endif
