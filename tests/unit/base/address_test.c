#include "base/address.h"

#include "unit.h"

#include <string.h>

static struct kad_address address_of(const char *text) {
  struct kad_address address;
  if (kad_address_parse(kad_slice_of(text), &address) != 0) {
    fail_msg("not an address: %s", text);
  }
  return address;
}

static void assert_format(const char *in, const char *out) {
  char text[KAD_ADDRESS_TEXT_SIZE];
  const struct kad_address address = address_of(in);
  assert_string_equal(kad_address_format(&address, text), out);
}

static void reads_and_writes_ip4(void **state) {
  (void)state;
  const struct kad_address address = address_of("192.0.2.1:6881");
  static const uint8_t ip[16] = {192, 0, 2, 1};

  assert_int_equal(address.family, 4);
  assert_int_equal(address.port, 6881);
  assert_int_equal(address.via, 0);
  assert_memory_equal(address.ip, ip, sizeof ip);
  assert_format("192.0.2.1:6881", "192.0.2.1:6881");
  assert_format("255.255.255.255:65535", "255.255.255.255:65535");
  assert_format("0.0.0.0:0", "0.0.0.0:0");
}

/* Source: RFC 5952 §4 and §5, with the examples given there. */
static void writes_ip6_in_its_one_recommended_form(void **state) {
  (void)state;
  assert_format("[2001:0db8::0001]:1", "[2001:db8::1]:1");
  assert_format("[2001:db8:0:0:0:0:2:1]:1", "[2001:db8::2:1]:1");
  assert_format("[2001:db8::1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1");
  assert_format("[2001:0:0:1:0:0:0:1]:1", "[2001:0:0:1::1]:1");
  assert_format("[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1");
  assert_format("[2001:DB8::AbCd]:1", "[2001:db8::abcd]:1");
  assert_format("[::ffff:c000:0201]:1", "[::ffff:192.0.2.1]:1");
  assert_format("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.1]:1");
  assert_format("[0:0:0:0:0:0:0:0]:0", "[::]:0");
  assert_format("[::1]:65535", "[::1]:65535");
  assert_format("[1::]:1", "[1::]:1");
  assert_format("[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1");
  assert_format("[::2:3:4:5:6:7:8]:1", "[0:2:3:4:5:6:7:8]:1");
  assert_format("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void rejects_other_text(void **state) {
  (void)state;
  const char *texts[] = {
      "",
      "1.2.3.4",
      "1.2.3.4:",
      "1.2.3.4:65536",
      "1.2.3.4:4294967376",
      "1.2.3.4:-1",
      "1.2.3.4:080",
      "1.2.3.4:80 ",
      " 1.2.3.4:80",
      "1.2.3:80",
      "1.2.3.4.5:80",
      "1.2.3.256:80",
      "01.2.3.4:80",
      "1.2.3.4444:80",
      "1..3.4:80",
      "[1.2.3.4]:80",
      "::1:80",
      "[::1]",
      "[::1:80",
      "[::1]80",
      "[]:80",
      "[:]:80",
      "[:::]:80",
      "[1:]:80",
      "[:1]:80",
      "[1::2::3]:80",
      "[12345::]:80",
      "[g::]:80",
      "[1:2:3:4:5:6:7]:80",
      "[1:2:3:4:5:6:7:8:9]:80",
      "[1:2:3:4:5:6:7:8::]:80",
      "[::1.2.3.4:5]:80",
      "[::1.2.3]:80",
      "[1:2:3:4:5:6:7:1.2.3.4]:80",
      "[fe80::1%eth0]:80",
      "localhost:80",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct kad_address address = {.port = 42};
    if (kad_address_parse(kad_slice_of(texts[i]), &address) != KAD_EINVAL) {
      fail_msg("taken for an address: %s", texts[i]);
    }
    assert_int_equal(address.port, 42);
  }
}

static void no_address_has_no_text(void **state) {
  (void)state;
  char text[KAD_ADDRESS_TEXT_SIZE];
  const struct kad_address none = {0};
  assert_string_equal(kad_address_format(&none, text), "");
}

static void equal_compares_family_ip_and_port_only(void **state) {
  (void)state;
  const struct kad_address a = address_of("192.0.2.1:80");
  struct kad_address same = a;
  same.via = 3;
  const struct kad_address port = address_of("192.0.2.1:81");
  const struct kad_address ip = address_of("192.0.2.2:80");
  struct kad_address family = a;
  family.family = 6;

  assert_true(kad_address_equal(&a, &same));
  assert_false(kad_address_equal(&a, &port));
  assert_false(kad_address_equal(&a, &ip));
  assert_false(kad_address_equal(&a, &family));
  assert_true(kad_address_same_ip(&a, &port));
  assert_false(kad_address_same_ip(&a, &ip));
  assert_false(kad_address_same_ip(&a, &family));
}

static void host_is_an_ip4_address_or_64_bits_of_ip6(void **state) {
  (void)state;
  const struct {
    const char *a, *b;
    bool same;
  } cases[] = {
      {"192.0.2.1:80", "192.0.2.1:81", true},
      {"192.0.2.1:80", "192.0.2.2:80", false},
      {"[2001:db8::1]:80", "[2001:db8::ffff:1]:81", true},
      {"[2001:db8::1]:80", "[2001:db8:0:1::1]:80", false},
      {"192.0.2.1:80", "[2001:db8::1]:80", false},
  };
  const struct kad_address own = {0};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct kad_address a = address_of(cases[i].a);
    const struct kad_address b = address_of(cases[i].b);
    assert_int_equal(kad_address_same_host(&a, &b), cases[i].same);
    assert_false(kad_address_same_host(&a, &own));
  }
  assert_true(kad_address_same_host(&own, &own));
}

static void subnets_are_24_bits_of_ip4_and_64_of_ip6(void **state) {
  (void)state;
  const struct {
    const char *a, *b;
    bool same;
  } cases[] = {
      {"192.0.2.1:1", "192.0.2.255:2", true},
      {"192.0.2.1:1", "192.0.3.1:1", false},
      {"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::]:2", true},
      {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
      {"32.1.13.184:1", "[2001:db8::]:1", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct kad_address a = address_of(cases[i].a);
    const struct kad_address b = address_of(cases[i].b);
    assert_int_equal(kad_address_same_subnet(&a, &b), cases[i].same);
  }
}

static void global_addresses_are_not_martian(void **state) {
  (void)state;
  const char *texts[] = {
      "1.1.1.1:1",
      "9.255.255.255:1",
      "11.0.0.0:1",
      "100.63.255.255:1",
      "100.128.0.0:1",
      "126.255.255.255:1",
      "128.0.0.0:1",
      "169.253.255.255:1",
      "172.15.255.255:1",
      "172.32.0.0:1",
      "192.0.1.0:1",
      "192.167.255.255:1",
      "198.17.255.255:1",
      "198.20.0.0:1",
      "223.255.255.255:65535",
      "[2001:db7::1]:1",
      "[2001:0:1::]:1",
      "[2a00::1]:1",
      "[64:ff9b::808:808]:1",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const struct kad_address address = address_of(texts[i]);
    if (kad_address_is_martian(&address, false) ||
        kad_address_is_martian(&address, true)) {
      fail_msg("martian: %s", texts[i]);
    }
    assert_false(kad_address_is_local(&address));
  }
}

static void local_addresses_are_martian_unless_allowed(void **state) {
  (void)state;
  const char *texts[] = {
      "10.0.0.0:1",   "10.255.255.255:1", "100.64.0.0:1",
      "127.0.0.1:1",  "127.1.2.3:1",      "169.254.1.1:1",
      "172.16.0.0:1", "172.31.255.255:1", "192.168.0.1:1",
      "198.18.0.0:1", "198.19.255.255:1", "[::1]:1",
      "[fe80::1]:1",  "[febf::1]:1",      "[fc00::1]:1",
      "[fdff::1]:1",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const struct kad_address address = address_of(texts[i]);
    if (!kad_address_is_martian(&address, false) ||
        kad_address_is_martian(&address, true)) {
      fail_msg("not local: %s", texts[i]);
    }
    assert_true(kad_address_is_local(&address));
  }
}

static void other_special_addresses_are_always_martian(void **state) {
  (void)state;
  const char *texts[] = {
      "1.1.1.1:0",         "127.0.0.1:0",
      "[2a00::1]:0",       "0.0.0.0:1",
      "0.1.2.3:1",         "192.0.2.1:1",
      "198.51.100.1:1",    "203.0.113.1:1",
      "192.0.0.1:1",       "224.0.0.1:1",
      "239.255.255.255:1", "240.0.0.1:1",
      "255.255.255.255:1", "[::]:1",
      "[::2]:1",           "[::ffff:1.1.1.1]:1",
      "[2001:db8::1]:1",   "[3fff::1]:1",
      "[ff02::1]:1",       "[100::1]:1",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const struct kad_address address = address_of(texts[i]);
    if (!kad_address_is_martian(&address, true)) {
      fail_msg("not martian: %s", texts[i]);
    }
    assert_false(address.port != 0 && kad_address_is_local(&address));
  }
  const struct kad_address none = {.port = 1};
  assert_true(kad_address_is_martian(&none, true));
}

/* Source: BEP 5 "Contact Encoding", BEP 32. */
static void packs_ip_and_port_in_network_order(void **state) {
  (void)state;
  const struct kad_address ip4 = address_of("1.2.3.4:258");
  const struct kad_address ip6 = address_of("[102:304::f]:65534");
  uint8_t out[KAD_COMPACT_IP6];

  assert_int_equal(kad_address_pack(&ip4, out), KAD_COMPACT_IP4);
  assert_memory_equal(out, "\1\2\3\4\1\2", KAD_COMPACT_IP4);
  assert_int_equal(kad_address_pack(&ip6, out), KAD_COMPACT_IP6);
  assert_memory_equal(out, "\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\17\377\376",
                      KAD_COMPACT_IP6);
}

static void unpacks_what_it_packs(void **state) {
  (void)state;
  const char *texts[] = {"1.2.3.4:258", "[102:304::f]:65534"};
  for (size_t i = 0; i < 2; i++) {
    const struct kad_address address = address_of(texts[i]);
    uint8_t packed[KAD_COMPACT_IP6];
    const size_t size = kad_address_pack(&address, packed);
    struct kad_address read;
    memset(&read, 0xff, sizeof read);

    assert_ok(kad_address_unpack((struct kad_slice){packed, size}, &read));

    assert_memory_equal(&read, &address, sizeof read);
  }
}

static void rejects_other_lengths(void **state) {
  (void)state;
  static const uint8_t bytes[32] = {0};
  for (size_t len = 0; len <= sizeof bytes; len++) {
    struct kad_address address;
    const int result =
        kad_address_unpack((struct kad_slice){bytes, len}, &address);
    assert_int_equal(result, len == 6 || len == 18 ? 0 : KAD_EMALFORMED);
  }
}

static void contacts_have_ids_and_are_compared_with_them(void **state) {
  (void)state;
  const struct kad_contact unknown = {.address = {.family = 4, .port = 1}};
  struct kad_contact known = unknown;
  known.id.bytes[KAD_ID_SIZE - 1] = 1;
  struct kad_contact moved = known;
  moved.address.port = 2;

  assert_false(kad_contact_has_id(&unknown));
  assert_true(kad_contact_has_id(&known));
  assert_true(kad_contact_equal(&known, &known));
  assert_false(kad_contact_equal(&known, &unknown));
  assert_false(kad_contact_equal(&known, &moved));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_and_writes_ip4),
      cmocka_unit_test(writes_ip6_in_its_one_recommended_form),
      cmocka_unit_test(rejects_other_text),
      cmocka_unit_test(no_address_has_no_text),
      cmocka_unit_test(equal_compares_family_ip_and_port_only),
      cmocka_unit_test(host_is_an_ip4_address_or_64_bits_of_ip6),
      cmocka_unit_test(subnets_are_24_bits_of_ip4_and_64_of_ip6),
      cmocka_unit_test(global_addresses_are_not_martian),
      cmocka_unit_test(local_addresses_are_martian_unless_allowed),
      cmocka_unit_test(other_special_addresses_are_always_martian),
      cmocka_unit_test(packs_ip_and_port_in_network_order),
      cmocka_unit_test(unpacks_what_it_packs),
      cmocka_unit_test(rejects_other_lengths),
      cmocka_unit_test(contacts_have_ids_and_are_compared_with_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
