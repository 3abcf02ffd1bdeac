#include "mutate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
  DEEP = 40,  /* levels of a list that nests too deep */
  MANY = 300, /* entries of a list that is too long */
  TEXT_BYTES = 64,
  RANDOM_BYTES = 96
};

/* A walk through a message. */
struct walk {
  struct kad_dice *dice;
  struct kad_writer *out;
  uint64_t odds; /* a value is changed once in so many times */
};

static void write_bytes(struct kad_writer *out, const void *bytes, size_t len) {
  size_t room = out->cap - out->len;
  size_t fits = len < room ? len : room;
  memcpy(out->data + out->len, bytes, fits);
  out->len += fits;
}

static void write_text(struct kad_writer *out, const char *text) {
  write_bytes(out, text, strlen(text));
}

static void write_repeated(struct kad_writer *out, const char *text,
                           uint64_t times) {
  for (uint64_t i = 0; i < times; i++) {
    write_text(out, text);
  }
}

static void write_number(struct walk *walk, const char *format) {
  char text[TEXT_BYTES];
  int64_t number = (int64_t)kad_dice_number(walk->dice);
  bool negative = kad_dice_one_in(walk->dice, 3);
  (void)snprintf(text, sizeof text, format,
                 negative ? (int64_t)(0 - (uint64_t)number) : number);
  write_text(walk->out, text);
}

/* Writes a string of random bytes whose length is true. */
static void write_random_string(struct walk *walk) {
  static const size_t sizes[] = {0, 1, 6, 18, 20, 26, 32, 38, 64, 65};
  uint8_t bytes[RANDOM_BYTES];
  char text[TEXT_BYTES];
  size_t len =
      kad_dice_one_in(walk->dice, 2)
          ? kad_dice_below(walk->dice, sizeof bytes)
          : sizes[kad_dice_below(walk->dice, sizeof sizes / sizeof sizes[0])];
  kad_dice_bytes(walk->dice, bytes, len);
  (void)snprintf(text, sizeof text, "%zu:", len);
  write_text(walk->out, text);
  write_bytes(walk->out, bytes, len);
}

/* Writes something in place of a value. */
static void write_other(struct walk *walk, struct kad_slice raw) {
  static const char *const texts[] = {"0:",
                                      "le",
                                      "de",
                                      "i0e",
                                      "i-1e",
                                      "i-0e",
                                      "i00e",
                                      "ie",
                                      "-1:a",
                                      "01:a",
                                      "1:",
                                      "99999999999:",
                                      "d",
                                      "l",
                                      "e",
                                      "i1",
                                      "d1:ae",
                                      "di1ei2ee",
                                      "lleleldedei1ee",
                                      "1:e",
                                      "i9223372036854775808e",
                                      "i-9223372036854775809e",
                                      "d1:ai1e1:ai2ee"};
  struct kad_dice *dice = walk->dice;
  switch (kad_dice_below(dice, 8)) {
  case 0:
  case 1:
    write_text(walk->out,
               texts[kad_dice_below(dice, sizeof texts / sizeof texts[0])]);
    break;
  case 2:
    write_number(walk, "i%" PRId64 "e");
    break;
  case 3:
    write_random_string(walk);
    break;
  case 4: { /* nested as deep as allowed, and deeper */
    uint64_t depth = kad_dice_below(dice, DEEP);
    write_repeated(walk->out, "l", depth);
    write_bytes(walk->out, raw.data, raw.len);
    write_repeated(walk->out, "e", depth);
    break;
  }
  case 5:
    write_text(walk->out, "l");
    for (uint64_t i = kad_dice_below(dice, MANY); i > 0; i--) {
      write_bytes(walk->out, raw.data, raw.len);
    }
    write_text(walk->out, "e");
    break;
  case 6:
    write_number(walk, "%" PRId64 ":"); /* a length that lies */
    write_bytes(walk->out, raw.data, raw.len);
    break;
  default: /* the value, cut */
    write_bytes(walk->out, raw.data, kad_dice_below(dice, raw.len + 1));
    break;
  }
}

static void write_slice(struct kad_writer *out, struct kad_slice bytes) {
  char text[TEXT_BYTES];
  (void)snprintf(text, sizeof text, "%zu:", bytes.len);
  write_text(out, text);
  write_bytes(out, bytes.data, bytes.len);
}

/* Writes a string that is a little longer, shorter or different. */
static void write_similar_string(struct walk *walk, struct kad_slice bytes) {
  uint8_t copy[2048];
  size_t len = bytes.len < sizeof copy - 1 ? bytes.len : sizeof copy - 1;
  memcpy(copy, bytes.data, len);
  switch (kad_dice_below(walk->dice, 4)) {
  case 0:
    copy[len++] = (uint8_t)kad_dice_next(walk->dice);
    break;
  case 1:
    len -= len > 0;
    break;
  case 2: /* twice */
    len = 2 * len < sizeof copy ? 2 * len : len;
    memmove(copy + len / 2, copy, len / 2);
    break;
  default:
    if (len > 0) {
      copy[kad_dice_below(walk->dice, len)] ^=
          (uint8_t)(1U << kad_dice_below(walk->dice, 8));
    }
  }
  write_slice(walk->out, (struct kad_slice){copy, len});
}

/* Writes the string or number `value`, or one like it, or something else. */
static void write_leaf(struct walk *walk, const struct kad_bencode *value) {
  if (!kad_dice_one_in(walk->dice, walk->odds)) {
    write_bytes(walk->out, value->raw.data, value->raw.len);
  } else if (value->type == KAD_BENCODE_STRING &&
             kad_dice_one_in(walk->dice, 2)) {
    write_similar_string(walk, value->bytes);
  } else if (value->type == KAD_BENCODE_INTEGER &&
             kad_dice_one_in(walk->dice, 2)) {
    write_number(walk, "i%" PRId64 "e");
  } else {
    write_other(walk, value->raw);
  }
}

/* Values nest at most KAD_BENCODE_MAX_DEPTH deep, which kad_bencode_parse has
 * checked, so recursion is bounded.
 * NOLINTBEGIN(misc-no-recursion) */
static void write_value(struct walk *walk, const struct kad_bencode *value,
                        unsigned depth);

static void write_list(struct walk *walk, struct kad_slice rest,
                       unsigned depth) {
  struct kad_bencode item;
  write_text(walk->out, "l");
  while (kad_bencode_next(&rest, &item)) {
    if (kad_dice_one_in(walk->dice, walk->odds)) {
      uint64_t times = kad_dice_below(walk->dice, 4); /* or not at all */
      times = times == 3 ? kad_dice_below(walk->dice, MANY) : times;
      for (; times > 0; times--) {
        write_bytes(walk->out, item.raw.data, item.raw.len);
      }
    } else {
      write_value(walk, &item, depth + 1);
    }
  }
  write_text(walk->out, "e");
}

static void write_dict(struct walk *walk, struct kad_slice rest,
                       unsigned depth) {
  struct kad_slice key;
  struct kad_bencode value;
  write_text(walk->out, "d");
  while (kad_bencode_next_pair(&rest, &key, &value)) {
    uint64_t change = kad_dice_one_in(walk->dice, walk->odds)
                          ? kad_dice_below(walk->dice, 4)
                          : 4;
    if (change == 0) {
      continue; /* without this key */
    }
    if (change == 1) { /* twice, with another value first */
      write_slice(walk->out, key);
      write_other(walk, value.raw);
    }
    if (change == 2) {
      write_similar_string(walk, key);
    } else if (change == 3) {
      write_number(walk, "i%" PRId64 "e");
    } else {
      write_slice(walk->out, key);
    }
    write_value(walk, &value, depth + 1);
  }
  write_text(walk->out, "e");
}

static void write_value(struct walk *walk, const struct kad_bencode *value,
                        unsigned depth) {
  bool leaf =
      value->type == KAD_BENCODE_STRING || value->type == KAD_BENCODE_INTEGER;
  if (leaf) {
    write_leaf(walk, value);
  } else if (depth > 0 && kad_dice_one_in(walk->dice, walk->odds)) {
    write_other(walk, value->raw);
  } else if (value->type == KAD_BENCODE_LIST) {
    write_list(walk, value->bytes, depth);
  } else {
    write_dict(walk, value->bytes, depth);
  }
}

/* NOLINTEND(misc-no-recursion) */

/* Counts the values of a message: every key and every value begins with one of
 * these bytes at least. */
static uint64_t estimate_values(struct kad_slice in) {
  uint64_t count = 1;
  for (size_t i = 0; i < in.len; i++) {
    count += in.data[i] == ':' || in.data[i] == 'i';
  }
  return count;
}

/* Cuts or changes the bytes, whatever they mean. */
static void change_bytes(struct kad_dice *dice, struct kad_writer *out) {
  switch (kad_dice_below(dice, 3)) {
  case 0:
    out->len = kad_dice_below(dice, out->len + 1);
    break;
  case 1:
    write_text(out, "e");
    break;
  default:
    if (out->len > 0) {
      out->data[kad_dice_below(dice, out->len)] = (uint8_t)kad_dice_next(dice);
    }
  }
}

void kad_mutate(struct kad_dice *dice, struct kad_slice in, unsigned changes,
                struct kad_writer *out) {
  struct kad_bencode value;
  struct walk walk = {dice, out, UINT64_MAX};
  if (changes > 0) {
    walk.odds = 1 + estimate_values(in) * 2 / changes;
  }
  if (kad_bencode_parse(in, &value) != 0) {
    write_bytes(out, in.data, in.len);
  } else {
    write_value(&walk, &value, 0);
  }
  if (changes > 0 && kad_dice_one_in(dice, 16)) {
    change_bytes(dice, out);
  }
}
