#include "base/address.h"

#include <assert.h>
#include <string.h>

/* Where the addresses of a block are used. */
enum reach {
  REACH_GLOBAL,
  REACH_LOCAL,
  REACH_NOWHERE
};

/* A block of addresses: the first `bits` bits of `prefix`. */
struct block {
  uint8_t prefix[16];
  uint8_t bits;
  enum reach reach;
};

/* The special blocks of RFC 6890 and its registry. The first match counts. All
 * other addresses are global. */
static const struct block blocks_ip4[] = {
    {{0}, 8, REACH_NOWHERE},             /* "this network" */
    {{10}, 8, REACH_LOCAL},              /* private */
    {{100, 64}, 10, REACH_LOCAL},        /* behind a carrier's NAT */
    {{127}, 8, REACH_LOCAL},             /* loopback */
    {{169, 254}, 16, REACH_LOCAL},       /* link-local */
    {{172, 16}, 12, REACH_LOCAL},        /* private */
    {{192, 0, 0}, 24, REACH_NOWHERE},    /* protocol assignments */
    {{192, 0, 2}, 24, REACH_NOWHERE},    /* documentation */
    {{192, 168}, 16, REACH_LOCAL},       /* private */
    {{198, 18}, 15, REACH_LOCAL},        /* benchmarks */
    {{198, 51, 100}, 24, REACH_NOWHERE}, /* documentation */
    {{203, 0, 113}, 24, REACH_NOWHERE},  /* documentation */
    {{224}, 3, REACH_NOWHERE},           /* multicast, reserved, broadcast */
};

static const struct block blocks_ip6[] = {
    {{[15] = 1}, 128, REACH_LOCAL},             /* loopback */
    {{0, 0x64, 0xff, 0x9b}, 96, REACH_GLOBAL},  /* NAT64 */
    {{0}, 8, REACH_NOWHERE},                    /* unspecified, IPv4-mapped */
    {{1}, 64, REACH_NOWHERE},                   /* discard-only */
    {{0x20, 1, 0, 2}, 48, REACH_LOCAL},         /* benchmarks */
    {{0x20, 1, 0, 0x10}, 28, REACH_NOWHERE},    /* ORCHID */
    {{0x20, 1, 0x0d, 0xb8}, 32, REACH_NOWHERE}, /* documentation */
    {{0x3f, 0xff}, 20, REACH_NOWHERE},          /* documentation */
    {{0xfc}, 7, REACH_LOCAL},                   /* private (unique local) */
    {{0xfe, 0x80}, 10, REACH_LOCAL},            /* link-local */
    {{0xfe, 0xc0}, 10, REACH_LOCAL},            /* site-local, deprecated */
    {{0xff}, 8, REACH_NOWHERE},                 /* multicast */
};

static bool is_inside(const uint8_t *ip, const struct block *block) {
  const size_t whole = block->bits / 8;
  if (memcmp(ip, block->prefix, whole) != 0) {
    return false;
  }
  const unsigned rest = block->bits % 8;
  return rest == 0 || (ip[whole] ^ block->prefix[whole]) >> (8 - rest) == 0;
}

static enum reach find_reach(const struct kad_address *address) {
  const bool is_ip4 = address->family == 4;
  const struct block *blocks = is_ip4 ? blocks_ip4 : blocks_ip6;
  const size_t count = is_ip4 ? sizeof blocks_ip4 / sizeof *blocks_ip4
                              : sizeof blocks_ip6 / sizeof *blocks_ip6;
  for (size_t i = 0; i < count; i++) {
    if (is_inside(address->ip, &blocks[i])) {
      return blocks[i].reach;
    }
  }
  return REACH_GLOBAL;
}

static bool has_family(const struct kad_address *address) {
  return address->family == 4 || address->family == 6;
}

bool kad_address_equal(const struct kad_address *a,
                       const struct kad_address *b) {
  if (a == NULL || b == NULL) {
    return false;
  }
  return a->port == b->port && kad_address_same_ip(a, b);
}

bool kad_contact_has_id(const struct kad_contact *contact) {
  static const struct kad_id unknown;
  return !kad_id_equal(&contact->id, &unknown);
}

bool kad_address_is_martian(const struct kad_address *address,
                            bool allow_local) {
  if (address == NULL) {
    return true;
  }
  if (!has_family(address) || address->port == 0) {
    return true;
  }
  const enum reach reach = find_reach(address);
  return reach == REACH_NOWHERE || (reach == REACH_LOCAL && !allow_local);
}

bool kad_address_same_ip(const struct kad_address *a,
                         const struct kad_address *b) {
  return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool kad_address_same_host(const struct kad_address *a,
                           const struct kad_address *b) {
  return a->family == b->family &&
         memcmp(a->ip, b->ip, kad_address_host_size(a)) == 0;
}

bool kad_address_is_local(const struct kad_address *address) {
  return has_family(address) && find_reach(address) == REACH_LOCAL;
}

size_t kad_address_pack(const struct kad_address *address, uint8_t *out) {
  assert(has_family(address));
  const size_t size = kad_address_ip_size(address);
  memcpy(out, address->ip, size);
  out[size] = (uint8_t)(address->port >> 8);
  out[size + 1] = (uint8_t)(address->port & 0xff);
  return size + 2;
}

int kad_address_unpack(struct kad_slice compact, struct kad_address *address) {
  if (compact.len != KAD_COMPACT_IP4 && compact.len != KAD_COMPACT_IP6) {
    return KAD_EMALFORMED;
  }
  const size_t size = compact.len - 2;
  *address = (struct kad_address){
      .family = size == 4 ? 4 : 6,
      .port = (uint16_t)(compact.data[size] << 8 | compact.data[size + 1]),
  };
  memcpy(address->ip, compact.data, size);
  return 0;
}
