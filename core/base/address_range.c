/* The text form of ranges of addresses: see kadenza_blocklist.h.
 *
 * Tested by tests/unit/base/address_set_test.c. */
#include "base/address.h"
#include "kadenza_blocklist.h"

#include <string.h>

enum {
  BITS = 8 /* of a byte */
};

/* Reads an address without a port. */
static bool read_ip(struct kad_slice text, struct kad_address *address) {
  char full[KAD_ADDRESS_TEXT_SIZE];
  const bool is_ip6 = text.len > 0 && memchr(text.data, ':', text.len) != NULL;
  if (text.len == 0 || text.len > sizeof full - sizeof "[]:0") {
    return false;
  }
  char *out = full;
  if (is_ip6) {
    *out++ = '[';
  }
  memcpy(out, text.data, text.len);
  out += text.len;
  if (is_ip6) {
    *out++ = ']';
  }
  *out++ = ':';
  *out++ = '0';
  const struct kad_slice whole = {(const uint8_t *)full, (size_t)(out - full)};
  return kad_address_parse(whole, address) == 0;
}

/* Reads the length of a prefix, up to `max`, without leading zeros. */
static bool read_prefix(struct kad_slice text, size_t max, size_t *prefix) {
  size_t number = 0;
  if (text.len == 0 || text.len > 3 || (text.len > 1 && text.data[0] == '0')) {
    return false;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') {
      return false;
    }
    number = number * 10 + (size_t)(text.data[i] - '0');
  }
  *prefix = number;
  return number <= max;
}

/* Sets the bits behind the prefix: to 0 in `first`, to 1 in `last`. */
static void open_prefix(struct kad_address_range *range, size_t prefix) {
  const size_t size = kad_address_ip_size(&range->first);
  for (size_t i = 0; i < size; i++) {
    const size_t kept = prefix > i * BITS ? prefix - i * BITS : 0;
    const uint8_t mask = (uint8_t)(kept < BITS ? 0xffU >> kept : 0U);
    range->first.ip[i] &= (uint8_t)~mask;
    range->last.ip[i] |= mask;
  }
}

static struct kad_slice without_spaces(struct kad_slice text) {
  while (text.len > 0 && text.data[0] == ' ') {
    text.data++;
    text.len--;
  }
  while (text.len > 0 && text.data[text.len - 1] == ' ') {
    text.len--;
  }
  return text;
}

/* Reads "ip/bits", of which `at` is the "/". */
static bool read_cidr(struct kad_slice text, size_t at,
                      struct kad_address_range *range) {
  const struct kad_slice rest = {text.data + at + 1, text.len - at - 1};
  size_t prefix;
  if (!read_ip((struct kad_slice){text.data, at}, &range->first) ||
      !read_prefix(rest, kad_address_ip_size(&range->first) * BITS, &prefix)) {
    return false;
  }
  range->last = range->first;
  open_prefix(range, prefix);
  return true;
}

/* Reads "ip-ip", of which `at` is the "-". */
static bool read_span(struct kad_slice text, size_t at,
                      struct kad_address_range *range) {
  const struct kad_slice rest = {text.data + at + 1, text.len - at - 1};
  return read_ip(without_spaces((struct kad_slice){text.data, at}),
                 &range->first) &&
         read_ip(without_spaces(rest), &range->last) &&
         range->first.family == range->last.family &&
         memcmp(range->first.ip, range->last.ip,
                kad_address_ip_size(&range->first)) <= 0;
}

int kad_address_range_parse(struct kad_slice text,
                            struct kad_address_range *range) {
  struct kad_address_range parsed = {0};
  if (range == NULL || text.len == 0 || text.len > KAD_RANGE_TEXT_MAX) {
    return KAD_EINVAL;
  }
  const uint8_t *slash = memchr(text.data, '/', text.len);
  const uint8_t *dash = memchr(text.data, '-', text.len);
  bool is_read;
  if (slash != NULL) {
    is_read = read_cidr(text, (size_t)(slash - text.data), &parsed);
  } else if (dash != NULL) {
    is_read = read_span(text, (size_t)(dash - text.data), &parsed);
  } else {
    is_read = read_ip(text, &parsed.first);
    parsed.last = parsed.first;
  }
  if (!is_read) {
    return KAD_EINVAL;
  }
  *range = parsed;
  return 0;
}
