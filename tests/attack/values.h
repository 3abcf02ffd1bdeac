/* Arguments for public functions: NULL, small and huge numbers, empty and long
 * bytes, and values that are almost right. What is returned is valid until
 * kad_values_release. */
#ifndef KAD_ATTACK_VALUES_H
#define KAD_ATTACK_VALUES_H

#include "dice.h"
#include "kadenza_codec.h"
#include "kadenza_durable.h"
#include "kadenza_network_key.h"
#include "kadenza_option.h"
#include "kadenza_sim.h"

struct kad_calls;

enum {
  KAD_VALUES_ITEMS = 300, /* of an array */
  KAD_VALUES_TEXT = 128   /* bytes of a buffer for text */
};

uint64_t kad_values_below(struct kad_calls *it, uint64_t bound);
uint64_t kad_values_number(struct kad_calls *it);
const uint8_t *kad_values_bytes(struct kad_calls *it,
                                size_t size); /* or NULL */
const char *kad_values_text(struct kad_calls *it);
struct kad_slice kad_values_slice(struct kad_calls *it);
const struct kad_slice *kad_values_slices(struct kad_calls *it);
struct kad_slice *kad_values_rest(struct kad_calls *it);
const struct kad_id *kad_values_id(struct kad_calls *it);

/* Arrays of KAD_VALUES_ITEMS. Addresses are of this machine, or of none. */
const struct kad_address *kad_values_addresses(struct kad_calls *it);

const struct kad_address_range *kad_values_ranges(struct kad_calls *it);

const struct kad_contact *kad_values_contact(struct kad_calls *it);
const struct kad_record *kad_values_record(struct kad_calls *it);
const struct kad_bencode *kad_values_bencode(struct kad_calls *it);
struct kad_writer *kad_values_writer(struct kad_calls *it);
const struct kad_config *kad_values_config(struct kad_calls *it);
const struct kad_network_keys *kad_values_network_keys(struct kad_calls *it);
const struct kad_option *kad_values_option(struct kad_calls *it);
const struct kad_lookup_options *kad_values_options(struct kad_calls *it);
const struct kad_sim_nat *kad_values_nat(struct kad_calls *it);
const struct kad_sim_hostility *kad_values_hostility(struct kad_calls *it);
const struct kad_durable_config *kad_values_durable(struct kad_calls *it);
const struct kad_sim_config *kad_values_sim_config(struct kad_calls *it);

/* Returns `size` bytes for a result, or NULL now and then. */
void *kad_values_out(struct kad_calls *it, size_t size);

/* Returns a block of zeros. */
void *kad_values_block(struct kad_calls *it, size_t size);

/* Frees what was made since the last call. */
void kad_values_release(struct kad_calls *it);

#endif
