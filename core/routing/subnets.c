#include "routing/subnets.h"

#include "base/address.h"

void kad_subnets_init(struct kad_subnets *subnets, bool allow_local) {
  subnets->allow_local = allow_local;
  subnets->count = 0;
}

bool kad_subnets_take(struct kad_subnets *subnets,
                      const struct kad_address *address) {
  size_t taken = 0;
  if (subnets->count == KAD_SUBNETS_MAX) {
    return false;
  }
  for (size_t i = 0; i < subnets->count && taken < KAD_SUBNETS_SHARE; i++) {
    taken += kad_address_same_subnet(subnets->taken[i], address);
  }
  if (taken == KAD_SUBNETS_SHARE &&
      !(subnets->allow_local && kad_address_is_local(address))) {
    return false;
  }
  subnets->taken[subnets->count++] = address;
  return true;
}
