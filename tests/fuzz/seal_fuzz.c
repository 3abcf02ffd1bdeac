/* Opens and seals. The first byte of the input is what happens to a sealed
 * datagram on its way, the next two are where; the rest is opened as it is, and
 * sealed and opened again. */
#include "wire/seal.h"

#include "target.h"

#include <string.h>

enum {
  HEAD = 3,
  MESSAGE_MAX = 65536
};

static const struct kad_network_keys keys = {.keys = {{1}, {2}}, .count = 2};

static void check_opened(const struct kad_opened *opened, const uint8_t *room,
                         struct kad_slice datagram) {
  CHECK(opened->message.len + KAD_SEAL_OVERHEAD == datagram.len);
  CHECK(opened->message.data == room + KAD_SEAL_HEAD_SIZE);
}

/* Nothing that is not sealed with one of the keys opens. */
static void check_foreign(const struct kad_seal *seal,
                          struct kad_slice datagram) {
  static uint8_t room[MESSAGE_MAX];
  struct kad_opened opened;
  const int error = kad_seal_open(seal, datagram, room, &opened);
  CHECK(error == 0 || error == KAD_EMALFORMED);
  if (error == 0) { /* the corpus has one that does */
    check_opened(&opened, room, datagram);
  }
}

/* Changes `datagram`, of `*len` bytes. Returns whether it is another one. */
static bool change(const uint8_t *how, uint8_t *datagram, size_t *len) {
  const size_t at = ((size_t)how[1] << 8 | how[2]) % *len;
  switch (how[0] % 4) {
  case 0:
    return false;
  case 1:
    datagram[at] ^= (uint8_t)(1U << how[0] / 4 % 8);
    return true;
  case 2:
    *len = at;
    return true;
  default:
    datagram[(*len)++] = how[1];
    return true;
  }
}

static void check_sealed(const struct kad_seal *seal, const uint8_t *how,
                         struct kad_slice message) {
  static uint8_t datagram[MESSAGE_MAX + KAD_SEAL_OVERHEAD + 1];
  static uint8_t room[sizeof datagram];
  const uint8_t nonce[KAD_SEAL_NONCE_SIZE] = {how[0], how[1], how[2]};
  const uint32_t time_s = (uint32_t)how[1] << 24 | how[2];
  struct kad_opened opened;
  size_t len = message.len + KAD_SEAL_OVERHEAD;
  kad_seal_write(seal, nonce, time_s, message, datagram);
  const bool is_changed = change(how, datagram, &len);
  const struct kad_slice arrived = {.data = datagram, .len = len};
  CHECK((kad_seal_open(seal, arrived, room, &opened) == 0) != is_changed);
  if (!is_changed) {
    check_opened(&opened, room, arrived);
    CHECK(opened.time_s == time_s && kad_slice_equal(opened.message, message));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct kad_seal seal;
  if (size < HEAD || size > MESSAGE_MAX) {
    return 0;
  }
  const struct kad_slice rest = {.data = data + HEAD, .len = size - HEAD};
  kad_seal_init(&seal, &keys);
  check_foreign(&seal, rest);
  check_sealed(&seal, data, rest);
  kad_seal_wipe(&seal);
  return 0;
}
