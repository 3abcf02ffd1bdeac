/* Addresses and contacts: what the engine needs beyond the public functions.
 *
 * Two addresses are compared in one of four units. Code that counts what
 * others may have or do uses the host or the subnet: single addresses of IPv6
 * cost nothing. tests/check/address_units.lua lists the places.
 *
 *   kad_address_equal        ip and port: one socket
 *   kad_address_same_ip      one interface
 *   kad_address_same_host    IPv4 address or IPv6 /64: the unit of quotas
 *   kad_address_same_subnet  /24 or /64: the unit of diversity */
#ifndef KAD_BASE_ADDRESS_H
#define KAD_BASE_ADDRESS_H

#include "kadenza.h"

#include <string.h>

enum {
  KAD_FAMILIES = 2 /* address families; an array has IPv4 at 0, IPv6 at 1 */
};

/* Returns the index of `family` (4 or 6) in an array of KAD_FAMILIES. */
static inline size_t kad_family_index(unsigned family) {
  return family == 6 ? 1 : 0;
}

/* Returns the family at `index` of such an array. */
static inline uint8_t kad_family_at(size_t index) {
  return index == 0 ? 4 : 6;
}

/* Returns the size of the address in bytes of `ip`: 4 or 16. */
static inline size_t kad_address_ip_size(const struct kad_address *address) {
  return address->family == 4 ? 4 : 16;
}

/* Returns how many bytes of `ip` are the subnet: /24 (IPv4) or /64 (IPv6). */
static inline size_t kad_address_subnet_size(
    const struct kad_address *address) {
  return address->family == 4 ? 3 : 8;
}

/* Returns how many bytes of `ip` are the host, the unit of quotas: an IPv4
 * address, or an IPv6 /64, of which one machine has every address; 0 for our
 * own user. */
static inline size_t kad_address_host_size(const struct kad_address *address) {
  return address->family == 4 ? 4 : address->family == 6 ? 8 : 0;
}

/* Returns true if a datagram can be sent to `address`: it has a family and a
 * port. */
static inline bool kad_address_is_valid(const struct kad_address *address) {
  return (address->family == 4 || address->family == 6) && address->port != 0;
}

/* Returns true if both have the same family and ip. Ignores the port. */
bool kad_address_same_ip(const struct kad_address *a,
                         const struct kad_address *b);

/* Returns true if both are of one host, or both are our own user. */
bool kad_address_same_host(const struct kad_address *a,
                           const struct kad_address *b);

/* Returns true if the id of `contact` is known: it is not all zeros. No node
 * may have an id of zeros. */
bool kad_contact_has_id(const struct kad_contact *contact);

/* Returns true if both have the same id and address. */
static inline bool kad_contact_equal(const struct kad_contact *a,
                                     const struct kad_contact *b) {
  return kad_id_equal(&a->id, &b->id) &&
         kad_address_equal(&a->address, &b->address);
}

/* Returns true if both are in one /24 (IPv4) or /64 (IPv6). */
static inline bool kad_address_same_subnet(const struct kad_address *a,
                                           const struct kad_address *b) {
  /* Constant sizes let the compiler do without a call. */
  return a->family == b->family &&
         (a->family == 4 ? memcmp(a->ip, b->ip, 3) == 0
                         : memcmp(a->ip, b->ip, 8) == 0);
}

/* Returns true if one of `count` addresses is `address`. */
static inline bool kad_address_is_among(const struct kad_address *addresses,
                                        size_t count,
                                        const struct kad_address *address) {
  size_t i = 0;
  while (i < count && !kad_address_equal(&addresses[i], address)) {
    i++;
  }
  return i < count;
}

/* Returns true for loopback, link-local and private addresses. */
bool kad_address_is_local(const struct kad_address *address);

enum {
  KAD_COMPACT_IP4 = 6, /* bytes of a compact IPv4 address and port; BEP 5 */
  KAD_COMPACT_IP6 = 18 /* bytes of a compact IPv6 one; BEP 32 */
};

/* Returns the bytes of a compact address of `family`. */
static inline size_t kad_compact_size(unsigned family) {
  return family == 4 ? KAD_COMPACT_IP4 : KAD_COMPACT_IP6;
}

/* Writes the compact form (KAD_COMPACT_IP4 or _IP6 bytes) and returns its
 * length. Source: BEP 5 "Contact Encoding". */
size_t kad_address_pack(const struct kad_address *address, uint8_t *out);

/* Reads a compact form of 6 or 18 bytes. Returns 0 or KAD_EMALFORMED. */
KAD_MUST_CHECK int kad_address_unpack(struct kad_slice compact,
                                      struct kad_address *address);

#endif
