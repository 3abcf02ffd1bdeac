/* kadenza_item.h: the items of BEP 44, which BitTorrent's DHT stores. kadenza.h
 * includes it.
 *
 * An immutable item is a value under its hash. A mutable one is signed, under
 * the hash of its publisher and, if it has one, a salt; of two versions the one
 * with the higher sequence number counts. The value of an item is bencoded: any
 * bencoded value of at most KAD_ITEM_VALUE_MAX bytes, in the only form that
 * bencoding has for it, nested at most KAD_ITEM_DEPTH_MAX deep.
 *
 * Items are records of the built-in types `immutable` and `mutable`, in
 * overlays with ids of 160 bits:
 *
 *     struct kad_record record = {
 *         .type = kad_slice_of("mutable"),
 *         .value = kad_slice_of("5:hello"),
 *         .publisher = publisher,
 *         .signature = signature,
 *         .has_seq = true,
 *         .seq = 1,
 *     };
 *     error = kad_item_target_mutable(publisher, record.salt, &record.key);
 *     error = kad_item_sign(record.value, record.salt, record.seq, secret,
 *                           signature);
 *     error = kad_node_put(node, &record, NULL, done, data, NULL);
 *
 * A node that has an item, with its salt, can put and publish it again, without
 * the secret: with ttl 0, or it lives as long as the item that was found. A get
 * of an item with a salt has the salt in its options. */
#ifndef KADENZA_ITEM_H
#define KADENZA_ITEM_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_ITEM_DEPTH_MAX = 14 /* lists and dictionaries around each other */
};

/* Checks the value of an item. Returns 0, or
 *   KAD_ETOOBIG     it has more than KAD_ITEM_VALUE_MAX bytes
 *   KAD_EMALFORMED  it is not one bencoded value in its only form: numbers
 *                   without leading zeros, keys of dictionaries ascending and
 *                   none twice; or it is nested too deeply */
KAD_API KAD_MUST_CHECK int kad_item_check_value(struct kad_slice value);

/* Sets `*target` to the key of an immutable item: the SHA-1 of its value.
 * Returns 0, or an error of kad_item_check_value.
 * Source: BEP 44 "Immutable Items". */
KAD_API KAD_MUST_CHECK int kad_item_target_immutable(struct kad_slice value,
                                                     struct kad_id *target);

/* Sets `*target` to the key of a mutable item: the SHA-1 of the publisher's key
 * and the salt. Returns 0, or KAD_ETOOBIG for a salt of more than KAD_SALT_MAX
 * bytes. Source: BEP 44 "Mutable Items". */
KAD_API KAD_MUST_CHECK int kad_item_target_mutable(
    const uint8_t publisher[KAD_PUBLISHER_SIZE], struct kad_slice salt,
    struct kad_id *target);

/* Signs a mutable item. `seq` is 0 … INT64_MAX: other nodes refuse a negative
 * one. Returns 0, an error of kad_item_check_value, or
 *   KAD_ETOOBIG  the salt has more than KAD_SALT_MAX bytes
 *   KAD_EINVAL   `seq` is negative
 * Source: BEP 44 "Signature Verification". */
KAD_API KAD_MUST_CHECK int kad_item_sign(struct kad_slice value,
                                         struct kad_slice salt, int64_t seq,
                                         const uint8_t secret[KAD_SECRET_SIZE],
                                         uint8_t signature[KAD_SIGNATURE_SIZE]);

/* Returns true if `signature` is that of `publisher` under a mutable item.
 * Takes about 50 µs. Source: BEP 44 "Signature Verification". */
KAD_API bool kad_item_verify(struct kad_slice value, struct kad_slice salt,
                             int64_t seq,
                             const uint8_t publisher[KAD_PUBLISHER_SIZE],
                             const uint8_t signature[KAD_SIGNATURE_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
