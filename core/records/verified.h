/* The signatures that were verified lately, as hashes of what each covers. A
 * record that comes again, in a republish, a repair or a reply, costs a hash,
 * of about 1 µs, and not a verification, of about 50.
 *
 *     struct kad_verified verified;
 *     kad_verified_init(&verified, &allocator, secret);
 *     if (kad_verified_check(&verified, message, publisher, signature)) …
 *     kad_verified_deinit(&verified);
 *
 * Only valid signatures are kept. The hashes are BLAKE2b of 16 bytes with a
 * secret key: no other bytes can be made to match. The table
 * starts with 256 bytes, and doubles when it would have to forget one, up to
 * 256 KB (16,384 signatures). Then it forgets those used least lately. */
#ifndef KAD_RECORDS_VERIFIED_H
#define KAD_RECORDS_VERIFIED_H

#include "base/map.h"

struct kad_verified_set;

struct kad_verified {
  const struct kad_allocator *allocator;
  const uint8_t *secret;
  struct kad_verified_set *sets; /* NULL until a signature is valid */
  size_t set_count;
  uint64_t made;  /* verifications */
  uint64_t saved; /* verifications that were not needed */
};

/* Begins without any signature. Borrows: `allocator`, `secret` (of
 * KAD_MAP_SECRET_SIZE random bytes). */
void kad_verified_init(struct kad_verified *verified,
                       const struct kad_allocator *allocator,
                       const uint8_t *secret);

/* Frees the table. */
void kad_verified_deinit(struct kad_verified *verified);

/* Returns true if `signature` is the signature of `publisher` under `message`,
 * and notes it if so. When out of memory, it is not noted. */
bool kad_verified_check(struct kad_verified *verified, struct kad_slice message,
                        const uint8_t publisher[KAD_PUBLISHER_SIZE],
                        const uint8_t signature[KAD_SIGNATURE_SIZE]);

#endif
