/* Parses texts, ranges and compact forms of addresses. Formatting an accepted
 * address and parsing the result must give the same address. */
#include "base/address_set.h"
#include "target.h"

#include <stdlib.h>
#include <string.h>

static void check_text(const struct kad_address *address) {
  char text[KAD_ADDRESS_TEXT_SIZE];
  char again[KAD_ADDRESS_TEXT_SIZE];
  struct kad_address read;
  CHECK(kad_address_format(address, text) == text);
  CHECK(strlen(text) < sizeof text);
  CHECK(kad_address_parse(kad_slice_of(text), &read) == 0);
  CHECK(kad_address_equal(address, &read));
  CHECK(strcmp(kad_address_format(&read, again), text) == 0);
}

static void check_compact(const struct kad_address *address) {
  uint8_t packed[KAD_COMPACT_IP6];
  struct kad_address read;
  const size_t size = kad_address_pack(address, packed);
  CHECK(size == kad_address_ip_size(address) + 2);
  CHECK(kad_address_unpack((struct kad_slice){packed, size}, &read) == 0);
  CHECK(kad_address_equal(address, &read));
}

static void check_reach(const struct kad_address *address) {
  const bool is_martian = kad_address_is_martian(address, false);
  const bool is_martian_anywhere = kad_address_is_martian(address, true);
  CHECK(is_martian || !is_martian_anywhere);
  CHECK(address->port == 0 ||
        kad_address_is_local(address) == (is_martian && !is_martian_anywhere));
}

/* An accepted range makes a set that has both of its ends. */
static void check_range(const struct kad_address_range *range) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_address_set set;
  CHECK(range->first.family == range->last.family);
  CHECK(kad_address_set_make(range, 1, &allocator, &set) == 0);
  CHECK(kad_address_set_has(&set, &range->first));
  CHECK(kad_address_set_has(&set, &range->last));
  kad_address_set_deinit(&set, &allocator);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const struct kad_slice input = {data, size};
  struct kad_address_range range;
  struct kad_address address;
  if (kad_address_range_parse(input, &range) == 0) {
    check_range(&range);
  }
  if (kad_address_parse(input, &address) == 0) {
    check_text(&address);
    check_compact(&address);
    check_reach(&address);
  }
  if (kad_address_unpack(input, &address) == 0) {
    check_text(&address);
    check_reach(&address);
  }
  return 0;
}
