/* Random bytes: the system's, and streams that a seed decides. */
#ifndef KAD_NET_RANDOM_H
#define KAD_NET_RANDOM_H

#include "kadenza.h"

/* Prepares the system's source. Returns 0, or KAD_ESYSTEM if there is none. */
KAD_MUST_CHECK int kad_random_start(void);

enum {
  KAD_RANDOM_KEY_SIZE = 32,
  KAD_RANDOM_BLOCK_SIZE = 64,
};

/* A stream of bytes that its seed and number decide: ChaCha20 under a key that
 * is BLAKE2b of both. Streams of one seed tell nothing of each other, so that
 * who draws from one does not disturb the rest. */
struct kad_random {
  uint8_t key[KAD_RANDOM_KEY_SIZE];
  uint64_t blocks; /* taken so far: the nonce of the next one */
  uint8_t block[KAD_RANDOM_BLOCK_SIZE];
  size_t left; /* bytes at the end of `block` that were not given out yet */
  bool secret; /* every block has a key of its own */
};

/* Begins a stream that nobody can foretell, fit for secrets: its first key is
 * of the system's source, and each block brings the key of the next, so that
 * what was drawn cannot be found out from what memory holds later. It saves a
 * system call a draw. A process that forks shares it with its child: only one
 * of them may go on. */
void kad_random_init_secret(struct kad_random *random);

/* Wipes a stream that was secret. */
void kad_random_forget(struct kad_random *random);

/* Begins stream `number` of `seed`. */
void kad_random_init(struct kad_random *random, uint64_t seed, uint64_t number);

/* Fills `out` with the next `len` bytes of the stream. */
void kad_random_fill(struct kad_random *random, uint8_t *out, size_t len);

/* Returns the next 64 bits of the stream. */
uint64_t kad_random_next(struct kad_random *random);

#endif
