/* For pread and fdatasync. */
#define _POSIX_C_SOURCE 200809L

#include "net/disk/segment.h"

#include "net/disk/bytes.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert((int)KAD_IMAGE_SECRET_SIZE == (int)crypto_shorthash_KEYBYTES,
              "the secret is a SipHash key");

enum {
  MODE = 0600,
  MAGIC_SIZE = 8,
  CHECKSUM = KAD_SEGMENT_HEAD - 8, /* place in the head */
  FRAME_CHECKSUM = 16,             /* place in the head of a frame */
  COPY_SIZE = 65536                /* bytes that are rewritten at a time */
};

static const uint8_t magic[MAGIC_SIZE] = "kadzjrnl";
static const uint32_t frame_magic = 0x6b617a66;

static uint64_t checksum_of(const uint8_t *bytes, size_t len,
                            const uint8_t *secret) {
  uint8_t sum[crypto_shorthash_BYTES];
  (void)crypto_shorthash(sum, bytes, len, secret);
  return kad_bytes_get(sum, sizeof sum);
}

/* Writes all bytes. Returns 0 or an errno. */
static int write_at(int fd, const uint8_t *bytes, size_t len, uint64_t offset) {
  while (len > 0) {
    const ssize_t written = pwrite(fd, bytes, len, (off_t)offset);
    if (written < 0 && errno != EINTR) {
      return errno;
    }
    if (written == 0) {
      return EIO;
    }
    if (written > 0) {
      bytes += written;
      len -= (size_t)written;
      offset += (uint64_t)written;
    }
  }
  return 0;
}

/* Reads `len` bytes. Returns the number that there are, or a negative errno. */
static ssize_t read_at(int fd, uint8_t *out, size_t len, uint64_t offset) {
  size_t done = 0;
  while (done < len) {
    const ssize_t count =
        pread(fd, out + done, len - done, (off_t)(offset + done));
    if (count < 0 && errno != EINTR) {
      return -errno;
    }
    if (count == 0) {
      break;
    }
    done += count > 0 ? (size_t)count : 0;
  }
  return (ssize_t)done;
}

/* The flags keep a FIFO from blocking, and a link from leading elsewhere. */
int kad_segment_open(struct kad_segment *segment, const char *path, int flags) {
  const int careful = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  struct stat status;
  *segment = (struct kad_segment){.fd = open(path, flags | careful, MODE)};
  if (segment->fd < 0) {
    return errno;
  }
  if (fstat(segment->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    const int error = S_ISREG(status.st_mode) ? errno : EINVAL;
    kad_segment_close(segment);
    return error;
  }
  return 0;
}

void kad_segment_close(struct kad_segment *segment) {
  if (segment->fd >= 0) {
    (void)close(segment->fd);
    segment->fd = -1;
  }
}

int kad_segment_read(const struct kad_segment *segment,
                     struct kad_changes *bytes) {
  struct stat status;
  if (fstat(segment->fd, &status) != 0) {
    return errno;
  }
  const size_t size = (size_t)status.st_size;
  if (size == 0) {
    return 0;
  }
  if (kad_changes_reserve(bytes, size) != 0) {
    return ENOMEM;
  }
  const ssize_t count =
      read_at(segment->fd, bytes->bytes + bytes->len, size, 0);
  if (count < 0) {
    return (int)-count;
  }
  bytes->len += (size_t)count;
  return 0;
}

static void write_head(uint8_t *out, const struct kad_segment_head *head) {
  memset(out, 0, KAD_SEGMENT_HEAD);
  memcpy(out, magic, MAGIC_SIZE);
  kad_bytes_put(out + 8, head->version, 4);
  kad_bytes_put(out + 12, head->id_size, 4);
  kad_bytes_put(out + 16, head->generation, 8);
  memcpy(out + 24, head->secret, KAD_IMAGE_SECRET_SIZE);
  kad_bytes_put(out + 40, head->lmdb_version, 4);
  kad_bytes_put(out + CHECKSUM, checksum_of(out, CHECKSUM, head->secret), 8);
}

bool kad_segment_read_head(struct kad_slice bytes,
                           struct kad_segment_head *head) {
  if (bytes.len < KAD_SEGMENT_HEAD ||
      memcmp(bytes.data, magic, MAGIC_SIZE) != 0) {
    return false;
  }
  const uint8_t *const from = bytes.data;
  *head = (struct kad_segment_head){
      .version = (uint32_t)kad_bytes_get(from + 8, 4),
      .id_size = (uint32_t)kad_bytes_get(from + 12, 4),
      .generation = kad_bytes_get(from + 16, 8),
      .lmdb_version = (uint32_t)kad_bytes_get(from + 40, 4),
  };
  memcpy(head->secret, from + 24, KAD_IMAGE_SECRET_SIZE);
  return head->generation > 0 && kad_bytes_get(from + CHECKSUM, 8) ==
                                     checksum_of(from, CHECKSUM, head->secret);
}

/* Where a frame is: no frame counts at another place, nor one that a segment
 * before has left behind. */
struct place {
  uint64_t generation;
  uint64_t number;
};

static uint64_t frame_checksum(const uint8_t *frame, size_t len,
                               const struct place *place,
                               const uint8_t *secret) {
  const uint64_t sum =
      checksum_of(frame + KAD_FRAME_HEAD, len - KAD_FRAME_HEAD, secret);
  uint8_t sums[24];
  kad_bytes_put(sums, sum, 8);
  kad_bytes_put(sums + 8, place->number, 8);
  kad_bytes_put(sums + 16, place->generation, 8);
  return checksum_of(sums, sizeof sums, secret);
}

/* Returns the length of the frame at the front of `bytes`, which is at `place`;
 * 0 if it does not count. */
static size_t frame_len(struct kad_slice bytes, const struct place *place,
                        const uint8_t *secret) {
  if (bytes.len < KAD_FRAME_HEAD ||
      kad_bytes_get(bytes.data, 4) != frame_magic ||
      kad_bytes_get(bytes.data + 8, 8) != place->number) {
    return 0;
  }
  const size_t len = kad_bytes_get(bytes.data + 4, 4);
  if (len < KAD_FRAME_HEAD || len > bytes.len ||
      kad_bytes_get(bytes.data + FRAME_CHECKSUM, 8) !=
          frame_checksum(bytes.data, len, place, secret)) {
    return 0;
  }
  return len;
}

int kad_segment_list(struct kad_slice bytes,
                     const struct kad_segment_head *head,
                     struct kad_change_list *list, uint64_t *end,
                     uint64_t *frames) {
  size_t at = KAD_SEGMENT_HEAD;
  struct place place = {.generation = head->generation};
  int error = 0;
  while (error == 0) {
    const struct kad_slice rest = {bytes.data + at, bytes.len - at};
    const size_t len = frame_len(rest, &place, head->secret);
    if (len == 0) {
      break;
    }
    const struct kad_slice changes = {rest.data + KAD_FRAME_HEAD,
                                      len - KAD_FRAME_HEAD};
    error = kad_change_list_add(list, changes);
    at += len;
    place.number++;
  }
  *end = at;
  *frames = place.number;
  return error;
}

int kad_segment_begin(struct kad_segment *segment,
                      const struct kad_segment_head *head) {
  uint8_t bytes[KAD_SEGMENT_HEAD];
  write_head(bytes, head);
  const int error = write_at(segment->fd, bytes, sizeof bytes, 0);
  if (error != 0) {
    return error;
  }
  segment->generation = head->generation;
  segment->end = KAD_SEGMENT_HEAD;
  segment->frames = 0;
  segment->synced = 0;
  return 0;
}

/* The frame is written where the last one ends: it replaces what a write that
 * failed has left. */
int kad_segment_append(struct kad_segment *segment, const uint8_t *secret,
                       uint8_t *frame, size_t len) {
  const struct place place = {.generation = segment->generation,
                              .number = segment->frames};
  if (len > UINT32_MAX) {
    return EFBIG;
  }
  kad_bytes_put(frame, frame_magic, 4);
  kad_bytes_put(frame + 4, len, 4);
  kad_bytes_put(frame + 8, segment->frames, 8);
  kad_bytes_put(frame + FRAME_CHECKSUM,
                frame_checksum(frame, len, &place, secret), 8);
  const int error = write_at(segment->fd, frame, len, segment->end);
  if (error != 0) {
    (void)ftruncate(segment->fd, (off_t)segment->end);
    return error;
  }
  segment->end += len;
  segment->frames++;
  return 0;
}

static int rewrite(int fd, uint64_t end) {
  uint8_t bytes[COPY_SIZE];
  for (uint64_t at = 0; at < end; at += COPY_SIZE) {
    const uint64_t left = end - at;
    const size_t len = left < COPY_SIZE ? (size_t)left : COPY_SIZE;
    const ssize_t count = read_at(fd, bytes, len, at);
    if (count != (ssize_t)len) {
      return count < 0 ? (int)-count : EIO;
    }
    const int error = write_at(fd, bytes, len, at);
    if (error != 0) {
      return error;
    }
  }
  return 0;
}

int kad_segment_sync(int fd, uint64_t end, bool rewrites) {
  const int error = rewrites ? rewrite(fd, end) : 0;
  if (error != 0) {
    return error;
  }
  return fdatasync(fd) == 0 ? 0 : errno;
}

void kad_segment_clear(struct kad_segment *segment) {
  if (ftruncate(segment->fd, 0) != 0) {
    /* said in the header */
  }
  segment->generation = 0;
  segment->end = 0;
  segment->frames = 0;
  segment->synced = 0;
}
