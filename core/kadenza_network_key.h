/* kadenza_network_key.h: the keys of a sealed overlay.
 *
 *     struct kad_network_keys keys = {.count = 1};
 *     kad_network_random(network, keys.keys[0], sizeof keys.keys[0]);
 *     config.network_keys = &keys;
 *     error = kad_network_open_node(network, &config, &listen, 1, &node);
 *
 * A node with network keys is sealed: it encrypts every datagram, and answers
 * those only that one of its keys opens. To others it is silent. It counts what
 * does not open (dropped_unsealed), what was sealed too long ago or by a clock
 * that is wrong (dropped_stale), and what it has received before
 * (dropped_replayed). A node is sealed from its start to its end, or never. */
#ifndef KADENZA_NETWORK_KEY_H
#define KADENZA_NETWORK_KEY_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_NETWORK_KEY_SIZE = 32, /* bytes */
  KAD_NETWORK_KEYS_MAX = 2,  /* an old and a new one, while keys change */
  KAD_SEAL_OVERHEAD = 45,    /* bytes that a datagram grows by */
  KAD_FINGERPRINT_SIZE = 17  /* bytes of a text, with its NUL */
};

/* The keys of a node: random bytes, and secret. The first one seals; each opens
 * what others have sealed. */
struct kad_network_keys {
  uint8_t keys[KAD_NETWORK_KEYS_MAX][KAD_NETWORK_KEY_SIZE];
  size_t count; /* 1 or 2 */
};

/* Writes the fingerprint of a network key, 16 hexadecimal digits and a NUL, to
 * `text`. It tells keys apart in logs, and is not secret. */
KAD_API void kad_network_key_fingerprint(
    const uint8_t key[KAD_NETWORK_KEY_SIZE], char text[KAD_FINGERPRINT_SIZE]);

/* Replaces the keys of a sealed node. What is sent from now on is sealed with
 * the first one; what waits for its pace, too. For a change of keys without a
 * loss, first all nodes take the new one as their second, then as their first
 * one, and at last drop the old one. Copies: `keys`.
 * Returns 0, or KAD_EINVAL: the node is not sealed, or no or too many keys. */
KAD_API KAD_MUST_CHECK int kad_node_set_network_keys(
    struct kad_node *node, const struct kad_network_keys *keys);

/* Returns true if the node has network keys. */
KAD_API bool kad_node_is_sealed(const struct kad_node *node);

/* Returns the bytes that the largest message of the node can have: max_reply,
 * less KAD_SEAL_OVERHEAD if it is sealed. */
KAD_API size_t kad_node_message_room(const struct kad_node *node);

/* Returns the bytes that a value can have at most, whatever its type allows, so
 * that a message has room for it and all that may be beside it: a message less
 * 452, at least KAD_ITEM_VALUE_MAX and at most KAD_VALUE_MAX. */
KAD_API size_t kad_node_value_room(const struct kad_node *node);

/* Why a sealed node drops datagrams of a sender, which may be a member with a
 * mistake in its configuration. */
enum kad_seal_problem {
  KAD_SEAL_PROBLEM_KEY,  /* no key of the node opens them, or they are not
                            sealed */
  KAD_SEAL_PROBLEM_CLOCK /* the clocks of both differ by more than
                            KAD_SEAL_WINDOW_S, or they are replays */
};

enum {
  KAD_SEAL_PROBLEMS = 2,
  KAD_SEAL_WINDOW_S = 300,  /* clocks of members may differ so much */
  KAD_SEAL_NOTICES_MAX = 32 /* half of them for each problem */
};

/* That a sender has a problem. */
struct kad_seal_notice {
  enum kad_seal_problem problem;
  struct kad_address from; /* of the first datagram of its subnet; of its ip, if
                              that is local. May be forged */
  int64_t ahead_s; /* CLOCK: seconds that its clock is ahead of ours; negative:
                      behind */
};

/* Iterates over the notices, for a log: begin with `*cursor` 0, and go on with
 * it later for those that are new. There is one for each subnet and problem,
 * until the keys change, and no more than KAD_SEAL_NOTICES_MAX, so that
 * strangers cannot fill a log. Returns false at the end. */
KAD_API bool kad_node_next_seal_notice(const struct kad_node *node,
                                       uint64_t *cursor,
                                       struct kad_seal_notice *notice);

#ifdef __cplusplus
}
#endif

#endif
