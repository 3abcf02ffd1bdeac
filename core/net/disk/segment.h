/* A segment of the journal: a file to which the changes of each turn are
 * appended with one write, as a frame. What the system has taken survives the
 * end of the process, and what kad_segment_sync has flushed a power failure.
 *
 *     head   magic 8, version 4, id bytes 4, generation 8, secret 16, version
 * of LMDB 4, 12 of 0, checksum 8 frame  magic 4, length 4, number 8, checksum
 * 8, changes (change.h); the checksum covers the generation, too
 *
 * A frame counts as a whole or not at all, and nothing after one that does not
 * count: a write that failed half way leaves nothing that could be taken for a
 * change. Errors are values of errno.
 *
 * Tested by tests/unit/net/durable/durable_open_test.c. */
#ifndef KAD_NET_DISK_SEGMENT_H
#define KAD_NET_DISK_SEGMENT_H

#include "net/disk/change_list.h"

enum {
  KAD_SEGMENT_VERSION = 1,
  KAD_SEGMENT_HEAD = 64,
  KAD_FRAME_HEAD = 24 /* bytes before the changes of a frame */
};

/* What the head of a segment says. */
struct kad_segment_head {
  uint64_t generation; /* higher in the later segment; 0: it is empty */
  uint8_t secret[KAD_IMAGE_SECRET_SIZE];
  uint32_t version;      /* of the journal */
  uint32_t id_size;      /* bytes of the keys */
  uint32_t lmdb_version; /* of the library that the program had */
};

struct kad_segment {
  int fd;              /* -1: closed */
  uint64_t generation; /* 0: it is empty */
  uint64_t end;        /* bytes of the head and of all frames */
  uint64_t frames;
  uint64_t synced; /* bytes of them that are flushed */
};

/* Opens a file, with the flags of open(2), as a segment that is empty. Returns
 * 0 or an errno. */
KAD_MUST_CHECK int kad_segment_open(struct kad_segment *segment,
                                    const char *path, int flags);
void kad_segment_close(struct kad_segment *segment);

/* Reads all bytes of the file. Returns 0, an errno, or ENOMEM. */
KAD_MUST_CHECK int kad_segment_read(const struct kad_segment *segment,
                                    struct kad_changes *bytes);

/* Reads the head at the front of `bytes`. Returns false if there is none. */
bool kad_segment_read_head(struct kad_slice bytes,
                           struct kad_segment_head *head);

/* Adds the changes of all frames of `bytes`, which begin with `head`. Sets
 * `*end` to the bytes that count, and `*frames`. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_segment_list(struct kad_slice bytes,
                                    const struct kad_segment_head *head,
                                    struct kad_change_list *list, uint64_t *end,
                                    uint64_t *frames);

/* Begins a segment that is empty. Returns 0 or an errno. */
KAD_MUST_CHECK int kad_segment_begin(struct kad_segment *segment,
                                     const struct kad_segment_head *head);

/* Appends `frame`, `len` bytes whose first KAD_FRAME_HEAD it fills in. Returns
 * 0, or an errno with nothing appended. */
KAD_MUST_CHECK int kad_segment_append(struct kad_segment *segment,
                                      const uint8_t *secret, uint8_t *frame,
                                      size_t len);

/* Flushes what was appended before `end` to the disk. With `rewrites`, writes
 * it again before: after a flush that failed, the system takes it for written.
 * Returns 0 or an errno. */
KAD_MUST_CHECK int kad_segment_sync(int fd, uint64_t end, bool rewrites);

/* Empties a segment. If the file cannot be cut, the next head replaces its own,
 * and none of its frames counts. */
void kad_segment_clear(struct kad_segment *segment);

#endif
