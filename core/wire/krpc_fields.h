/* The fields of KRPC's dictionaries: the known keys, and readers of their
 * values. Tested by tests/unit/wire/krpc_decode_test.c. */
#ifndef KAD_WIRE_KRPC_FIELDS_H
#define KAD_WIRE_KRPC_FIELDS_H

#include "kadenza.h"

#include <assert.h>

/* The known keys of all dictionaries, by length. */
#define KAD_KEY_MAP(X)              \
  X(KAD_KEY_A, "a")                 \
  X(KAD_KEY_E, "e")                 \
  X(KAD_KEY_K, "k")                 \
  X(KAD_KEY_Q, "q")                 \
  X(KAD_KEY_R, "r")                 \
  X(KAD_KEY_T, "t")                 \
  X(KAD_KEY_V, "v")                 \
  X(KAD_KEY_Y, "y")                 \
  X(KAD_KEY_ID, "id")               \
  X(KAD_KEY_IP, "ip")               \
  X(KAD_KEY_RO, "ro")               \
  X(KAD_KEY_CAS, "cas")             \
  X(KAD_KEY_NUM, "num")             \
  X(KAD_KEY_SEQ, "seq")             \
  X(KAD_KEY_SIG, "sig")             \
  X(KAD_KEY_TTL, "ttl")             \
  X(KAD_KEY_WHY, "why")             \
  X(KAD_KEY_BFPE, "BFpe")           \
  X(KAD_KEY_BFSD, "BFsd")           \
  X(KAD_KEY_NEXT, "next")           \
  X(KAD_KEY_PORT, "port")           \
  X(KAD_KEY_SALT, "salt")           \
  X(KAD_KEY_SEED, "seed")           \
  X(KAD_KEY_SKIP, "skip")           \
  X(KAD_KEY_TYPE, "type")           \
  X(KAD_KEY_WANT, "want")           \
  X(KAD_KEY_NODES, "nodes")         \
  X(KAD_KEY_TOKEN, "token")         \
  X(KAD_KEY_TOTAL, "total")         \
  X(KAD_KEY_ERRORS, "errors")       \
  X(KAD_KEY_NODES6, "nodes6")       \
  X(KAD_KEY_NOSEED, "noseed")       \
  X(KAD_KEY_SCRAPE, "scrape")       \
  X(KAD_KEY_STORED, "stored")       \
  X(KAD_KEY_TARGET, "target")       \
  X(KAD_KEY_VALUES, "values")       \
  X(KAD_KEY_SAMPLES, "samples")     \
  X(KAD_KEY_INTERVAL, "interval")   \
  X(KAD_KEY_INFO_HASH, "info_hash") \
  X(KAD_KEY_IMPLIED_PORT, "implied_port")

enum kad_key {
#define KAD_KEY_ENUM(key, text) key,
  KAD_KEY_MAP(KAD_KEY_ENUM)
#undef KAD_KEY_ENUM
  KAD_KEY_COUNT
};

/* The bit of `key` in a set of keys. */
#define KAD_KEY_BIT(key) (UINT64_C(1) << (key))

static_assert(KAD_KEY_COUNT <= 64, "a set of keys fits 64 bits");

/* The known keys of a dictionary. Only values whose bit is set in `present` are
 * valid. If a key repeats, the first one counts. */
struct kad_fields {
  uint64_t present;
  struct kad_bencode values[KAD_KEY_COUNT];
};

/* Collects the fields from the items of a parsed dictionary. */
void kad_fields_collect(struct kad_slice items, struct kad_fields *fields);

/* Checks that `datagram` is exactly one dictionary, as kad_bencode_parse does,
 * and collects its fields. */
bool kad_fields_parse(struct kad_slice datagram, struct kad_fields *fields);

/* Returns the value of `key`, or NULL if it is absent or not of `type`. */
const struct kad_bencode *kad_fields_find(const struct kad_fields *fields,
                                          enum kad_key key,
                                          enum kad_bencode_type type);

/* Returns true if `key` is absent. */
static inline bool kad_fields_is_absent(const struct kad_fields *fields,
                                        enum kad_key key) {
  return (fields->present & KAD_KEY_BIT(key)) == 0;
}

/* The readers below return false if their key is present with a wrong type,
 * size or value. They write only if it is present and right. */

/* Reads a string of `min` … `max` bytes. */
bool kad_fields_string(const struct kad_fields *fields, enum kad_key key,
                       size_t min, size_t max, struct kad_slice *bytes);

/* Reads an id of exactly `id_size` bytes into the first bytes of `id`. */
bool kad_fields_id(const struct kad_fields *fields, enum kad_key key,
                   size_t id_size, bool *has, struct kad_id *id);

/* Reads any integer. */
bool kad_fields_integer(const struct kad_fields *fields, enum kad_key key,
                        bool *has, int64_t *integer);

/* Reads a flag: an integer, which is set if it is 1. */
bool kad_fields_flag(const struct kad_fields *fields, enum kad_key key,
                     bool *flag);

/* Reads an integer of 0 … 2^32 - 1. */
bool kad_fields_number(const struct kad_fields *fields, enum kad_key key,
                       bool *has, uint32_t *number);

#endif
