/* Random bytes: of the system, and streams given by a seed. */
#ifndef KAD_NET_RANDOM_H
#define KAD_NET_RANDOM_H

#include "kadenza.h"

/* Prepares the system's source. Returns 0, or KAD_ESYSTEM if there is none. */
KAD_MUST_CHECK int kad_random_start(void);

enum {
  KAD_RANDOM_KEY_SIZE = 32,
  KAD_RANDOM_BLOCK_SIZE = 64,
};

/* A stream of bytes, given by a seed and a number: ChaCha20 under a key that is
 * BLAKE2b of both. Streams of one seed are independent: a draw from one does
 * not change the others. */
struct kad_random {
  uint8_t key[KAD_RANDOM_KEY_SIZE];
  uint64_t blocks; /* drawn so far: the nonce of the next one */
  uint8_t block[KAD_RANDOM_BLOCK_SIZE];
  size_t left; /* bytes at the end of `block` that are not drawn yet */
  bool secret; /* every block has a key of its own */
};

/* Initialises a secret stream, fit for keys and tokens. Its first key comes
 * from the system's source, and each block contains the key of the next, so
 * that earlier output cannot be computed from memory read later. A draw needs
 * no system call. After a fork, only one of the two processes may use it. */
void kad_random_init_secret(struct kad_random *random);

/* Wipes a secret stream. */
void kad_random_wipe(struct kad_random *random);

/* Initialises stream `number` of `seed`. */
void kad_random_init(struct kad_random *random, uint64_t seed, uint64_t number);

/* Fills `out` with the next `len` bytes of the stream. */
void kad_random_fill(struct kad_random *random, uint8_t *out, size_t len);

/* Returns the next 64 bits of the stream. */
uint64_t kad_random_next(struct kad_random *random);

#endif
