/* The text form of addresses. Reads RFC 4291 §2.2, writes RFC 5952.
 *
 * Tested by tests/unit/base/address_test.c. */
#include "base/hex.h"
#include "kadenza.h"

#include <assert.h>
#include <string.h>

enum {
  GROUPS = 8,
  GROUP_DIGITS = 4,
  PORT_DIGITS = 5,
  NO_GAP = GROUPS
};

/* Each take_… function reads the start of `rest` and moves `rest` behind it. It
 * returns false if the start has another form. */

static bool take_char(struct kad_slice *rest, char c) {
  if (rest->len == 0 || rest->data[0] != (uint8_t)c) {
    return false;
  }
  rest->data++;
  rest->len--;
  return true;
}

/* Takes a decimal number up to `max`, of 1 … `max_digits`, no leading zero. */
static bool take_decimal(struct kad_slice *rest, size_t max_digits,
                         uint32_t max, uint32_t *value) {
  uint32_t number = 0;
  size_t len = 0;
  while (len < rest->len && len < max_digits && rest->data[len] >= '0' &&
         rest->data[len] <= '9') {
    number = number * 10 + (uint32_t)(rest->data[len] - '0');
    len++;
  }
  if (len == 0 || number > max || (len > 1 && rest->data[0] == '0')) {
    return false;
  }
  rest->data += len;
  rest->len -= len;
  *value = number;
  return true;
}

static bool take_ip4(struct kad_slice *rest, uint8_t *ip) {
  for (size_t i = 0; i < 4; i++) {
    uint32_t octet;
    if ((i > 0 && !take_char(rest, '.')) ||
        !take_decimal(rest, 3, 255, &octet)) {
      return false;
    }
    ip[i] = (uint8_t)octet;
  }
  return true;
}

/* Takes one to four hexadecimal digits and writes their two bytes. */
static bool take_group(struct kad_slice *rest, uint8_t *out) {
  unsigned group = 0;
  size_t len = 0;
  while (len < rest->len && len < GROUP_DIGITS &&
         kad_hex_value(rest->data[len]) >= 0) {
    group = group * 16 + (unsigned)kad_hex_value(rest->data[len]);
    len++;
  }
  rest->data += len;
  rest->len -= len;
  out[0] = (uint8_t)(group >> 8);
  out[1] = (uint8_t)(group & 0xff);
  return len > 0;
}

/* Takes groups up to the end or a "::" and writes them to `ip` from group
 * `*count` on, and advances `*count`. The last two groups may be in IPv4 form.
 */
static bool take_groups(struct kad_slice *rest, uint8_t *ip, size_t *count) {
  for (;;) {
    const struct kad_slice before = *rest;
    if (*count == GROUPS || !take_group(rest, &ip[*count * 2])) {
      return false;
    }
    if (rest->len > 0 && rest->data[0] == '.') {
      *rest = before;
      const bool fits = *count + 2 <= GROUPS;
      *count += 2;
      return fits && take_ip4(rest, &ip[(*count - 2) * 2]) && rest->len == 0;
    }
    *count += 1;
    if (rest->len == 0 || (rest->len > 1 && rest->data[1] == ':')) {
      return true;
    }
    if (!take_char(rest, ':')) {
      return false;
    }
  }
}

/* Moves the groups from `gap` to `count` to the end of `ip`, after zeros. */
static void open_gap(uint8_t *ip, size_t gap, size_t count) {
  const size_t after = count - gap;
  memmove(&ip[2 * (GROUPS - after)], &ip[2 * gap], 2 * after);
  memset(&ip[2 * gap], 0, 2 * (GROUPS - count));
}

/* Reads an IPv6 address that is all of `text`. */
static bool read_ip6(struct kad_slice text, uint8_t *ip) {
  struct kad_slice rest = text;
  size_t count = 0;
  const bool begins_with_colon = rest.len > 1 && rest.data[0] == ':';
  if (!begins_with_colon && !take_groups(&rest, ip, &count)) {
    return false;
  }
  if (rest.len == 0) {
    return count == GROUPS;
  }
  const size_t gap = count;
  if (rest.len < 2 || rest.data[0] != ':' || rest.data[1] != ':') {
    return false;
  }
  rest.data += 2;
  rest.len -= 2;
  if (rest.len > 0 && !take_groups(&rest, ip, &count)) {
    return false;
  }
  /* There is only one gap, and it stands for at least one group. */
  if (rest.len > 0 || count == GROUPS) {
    return false;
  }
  open_gap(ip, gap, count);
  return true;
}

static bool take_bracketed_ip6(struct kad_slice *rest, uint8_t *ip) {
  if (!take_char(rest, '[')) {
    return false;
  }
  const uint8_t *end = memchr(rest->data, ']', rest->len);
  if (end == NULL) {
    return false;
  }
  const size_t len = (size_t)(end - rest->data);
  if (!read_ip6((struct kad_slice){rest->data, len}, ip)) {
    return false;
  }
  rest->data += len + 1;
  rest->len -= len + 1;
  return true;
}

int kad_address_parse(struct kad_slice text, struct kad_address *address) {
  if (address == NULL) {
    return KAD_EINVAL;
  }
  struct kad_address parsed = {0};
  struct kad_slice rest = text;
  const bool is_ip6 = rest.len > 0 && rest.data[0] == '[';
  uint32_t port;
  parsed.family = is_ip6 ? 6 : 4;
  if (!(is_ip6 ? take_bracketed_ip6 : take_ip4)(&rest, parsed.ip) ||
      !take_char(&rest, ':') ||
      !take_decimal(&rest, PORT_DIGITS, UINT16_MAX, &port) || rest.len > 0) {
    return KAD_EINVAL;
  }
  parsed.port = (uint16_t)port;
  *address = parsed;
  return 0;
}

/* Each put_… function writes to `out` and returns the end of what it wrote. */

static char *put_decimal(char *out, uint32_t value) {
  char digits[10];
  size_t len = 0;
  do {
    digits[len++] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  while (len > 0) {
    *out++ = digits[--len];
  }
  return out;
}

static char *put_ip4(char *out, const uint8_t *ip) {
  for (size_t i = 0; i < 4; i++) {
    if (i > 0) {
      *out++ = '.';
    }
    out = put_decimal(out, ip[i]);
  }
  return out;
}

static unsigned group_of(const uint8_t *ip, size_t index) {
  return (unsigned)ip[2 * index] << 8 | ip[2 * index + 1];
}

static char *put_group(char *out, unsigned group) {
  unsigned shift = 12;
  while (shift > 0 && group >> shift == 0) {
    shift -= 4;
  }
  for (;; shift -= 4) {
    *out++ = "0123456789abcdef"[group >> shift & 15];
    if (shift == 0) {
      return out;
    }
  }
}

/* Finds the longest run of two or more zero groups, the first among equals.
 * Sets `*start` to NO_GAP if there is none. Source: RFC 5952 §4.2. */
static void find_gap(const uint8_t *ip, size_t *start, size_t *len) {
  *start = NO_GAP;
  *len = 1;
  size_t run = 0;
  for (size_t i = 0; i < GROUPS; i++) {
    run = group_of(ip, i) == 0 ? run + 1 : 0;
    if (run > *len) {
      *len = run;
      *start = i + 1 - run;
    }
  }
}

static char *put_ip6(char *out, const uint8_t *ip) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  static const char prefix[7] = {':', ':', 'f', 'f', 'f', 'f', ':'};
  if (memcmp(ip, mapped, sizeof mapped) == 0) {
    memcpy(out, prefix, sizeof prefix);
    return put_ip4(out + sizeof prefix, ip + sizeof mapped);
  }
  size_t gap;
  size_t gap_len;
  find_gap(ip, &gap, &gap_len);
  for (size_t i = 0; i < GROUPS; i++) {
    if (i == gap) {
      *out++ = ':';
      *out++ = ':';
      i += gap_len - 1;
      continue;
    }
    if (i > 0 && i != gap + gap_len) {
      *out++ = ':';
    }
    out = put_group(out, group_of(ip, i));
  }
  return out;
}

const char *kad_address_format(const struct kad_address *address, char *text) {
  if (address == NULL || text == NULL) {
    return "";
  }
  char *out = text;
  switch (address->family) {
  case 4:
    out = put_ip4(out, address->ip);
    break;
  case 6:
    *out++ = '[';
    out = put_ip6(out, address->ip);
    *out++ = ']';
    break;
  default:
    *out = '\0'; /* not an address */
    return text;
  }
  *out++ = ':';
  out = put_decimal(out, address->port);
  *out = '\0';
  assert(out < text + KAD_ADDRESS_TEXT_SIZE);
  return text;
}
