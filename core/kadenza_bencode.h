/* kadenza_bencode.h: reads and writes bencode, the encoding of messages.
 * kadenza.h includes it. Source: BEP 3 "bencoding". */
#ifndef KADENZA_BENCODE_H
#define KADENZA_BENCODE_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kad_bencode_type {
  KAD_BENCODE_INTEGER,
  KAD_BENCODE_STRING,
  KAD_BENCODE_LIST,
  KAD_BENCODE_DICT
};

/* One bencoded value in a buffer that was parsed whole. Borrows the buffer.
 * Source: BEP 3 "bencoding". */
struct kad_bencode {
  enum kad_bencode_type type;
  int64_t integer;        /* of an integer */
  struct kad_slice bytes; /* of a string: its bytes; of a list or dictionary:
                             the encoded items between `l` or `d` and `e` */
  struct kad_slice raw;   /* the whole encoding of this value */
};

enum {
  KAD_BENCODE_MAX_DEPTH = 16
};

/* Parses `in`, which must be exactly one bencoded value. Iterative. Lists and
 * dictionaries nest at most KAD_BENCODE_MAX_DEPTH deep. Integers fit 64 bits
 * and have no other form. Dictionary keys need not be sorted, because real
 * nodes do not always sort them; two equal keys must not follow each other.
 * Returns 0 or KAD_EMALFORMED. */
KAD_API KAD_MUST_CHECK int kad_bencode_parse(struct kad_slice in,
                                             struct kad_bencode *value);

/* To iterate over a parsed list or dictionary, begin with
 * `struct kad_slice rest = value.bytes;`. */

/* Takes the next item of a parsed list off `rest`. Returns false at its end. */
KAD_API bool kad_bencode_next(struct kad_slice *rest,
                              struct kad_bencode *value);

/* Takes the next key and value of a parsed dictionary off `rest`. Returns false
 * at its end. */
KAD_API bool kad_bencode_next_pair(struct kad_slice *rest,
                                   struct kad_slice *key,
                                   struct kad_bencode *value);

/* Finds the value of `key` in the parsed dictionary `dict`. Returns false if
 * `dict` is no dictionary or has no such key. */
KAD_API bool kad_bencode_find(const struct kad_bencode *dict, const char *key,
                              struct kad_bencode *value);

/* A writer into memory of the caller. A write that does not fit writes nothing
 * and sets `overflow`; every later write is ignored. */
struct kad_writer {
  uint8_t *data;
  size_t len; /* bytes written */
  size_t cap; /* bytes of `data` */
  bool overflow;
};

/* Writes an integer. */
KAD_API void kad_write_integer(struct kad_writer *writer, int64_t value);
/* Writes a byte string. */
KAD_API void kad_write_string(struct kad_writer *writer,
                              struct kad_slice bytes);
/* Writes a dictionary key. The caller writes keys in ascending byte order. */
KAD_API void kad_write_key(struct kad_writer *writer, const char *key);
KAD_API void kad_write_dict(struct kad_writer *writer);  /* writes `d` */
KAD_API void kad_write_list(struct kad_writer *writer);  /* writes `l` */
KAD_API void kad_write_close(struct kad_writer *writer); /* writes `e` */
/* Appends bytes that are encoded already. */
KAD_API void kad_write_raw(struct kad_writer *writer, struct kad_slice bytes);

#ifdef __cplusplus
}
#endif

#endif
