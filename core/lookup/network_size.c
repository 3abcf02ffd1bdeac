#include "lookup/network_size.h"

#include "base/time.h"

/* 2^64: the number of distances, cut to 64 bits. */
static const double all_distances = 18446744073709551616.0;

static uint64_t distance_of(const struct kad_id *a, const struct kad_id *b) {
  uint64_t distance = 0;
  for (size_t i = 0; i < sizeof distance; i++) {
    distance = distance << 8 | (uint64_t)(a->bytes[i] ^ b->bytes[i]);
  }
  return distance;
}

double kad_network_size_share(const struct kad_id *target,
                              const struct kad_id *id) {
  return ((double)distance_of(target, id) + 1) / all_distances;
}

/* Returns the part of all ids that belongs to one node. The distance of the
 * k-th node has a gamma distribution with a median of k - 1/3 such parts. */
static double estimate_share(const struct kad_network_size_finding *finding) {
  if (finding->count < finding->k) {
    return 1.0 / (double)finding->count;
  }
  return kad_network_size_share(finding->target, finding->farthest) /
         ((double)finding->count - 1.0 / 3);
}

/* Returns true if the nodes of one sample are also those of the other. */
static bool is_same_place(const struct kad_network_size_sample *a,
                          const struct kad_network_size_sample *b) {
  const uint32_t apart = a->target ^ b->target;
  return apart <= a->reach || apart <= b->reach;
}

/* Returns the slot of a sample of the same place, else the next in turn. */
static struct kad_network_size_sample *find_slot(
    struct kad_network_size *estimate,
    const struct kad_network_size_sample *sample) {
  for (size_t i = 0; i < KAD_NETWORK_SIZE_SAMPLES; i++) {
    struct kad_network_size_sample *other = &estimate->samples[i];
    if (other->share > 0 && is_same_place(other, sample)) {
      return other;
    }
  }
  struct kad_network_size_sample *place = &estimate->samples[estimate->next];
  estimate->next = (uint8_t)((estimate->next + 1) % KAD_NETWORK_SIZE_SAMPLES);
  return place;
}

void kad_network_size_add(struct kad_network_size *estimate,
                          const struct kad_network_size_finding *finding,
                          kad_time_ms now) {
  static const struct kad_id zero = {.bytes = {0}};
  if (finding->count == 0 || finding->k < KAD_NETWORK_SIZE_K_MIN) {
    return;
  }
  const struct kad_network_size_sample sample = {
      .target = (uint32_t)(distance_of(finding->target, &zero) >> 32),
      .reach =
          (uint32_t)(distance_of(finding->target, finding->farthest) >> 32),
      .share = (float)estimate_share(finding),
      .at_s = (uint32_t)(now / KAD_MS_PER_S),
  };
  *(finding->own ? &estimate->own : find_slot(estimate, &sample)) = sample;
}

/* Returns sample `i`; that of our own id is the last. */
static const struct kad_network_size_sample *sample_at(
    const struct kad_network_size *estimate, size_t i) {
  return i < KAD_NETWORK_SIZE_SAMPLES ? &estimate->samples[i] : &estimate->own;
}

/* Writes the shares of the samples that are at most `span_s` old to `sorted`,
 * in ascending order, and returns their number. */
static size_t sort_shares(const struct kad_network_size *estimate,
                          uint32_t now_s, uint32_t span_s, double *sorted) {
  size_t count = 0;
  for (size_t i = 0; i <= KAD_NETWORK_SIZE_SAMPLES; i++) {
    const struct kad_network_size_sample *sample = sample_at(estimate, i);
    if (sample->share <= 0 || now_s - sample->at_s > span_s) {
      continue;
    }
    size_t place = count++;
    for (; place > 0 && (double)sample->share < sorted[place - 1]; place--) {
      sorted[place] = sorted[place - 1];
    }
    sorted[place] = (double)sample->share;
  }
  return count;
}

double kad_network_size_estimate(const struct kad_network_size *estimate,
                                 kad_time_ms now) {
  double sorted[KAD_NETWORK_SIZE_SAMPLES + 1];
  const uint32_t now_s = (uint32_t)(now / KAD_MS_PER_S);
  size_t count = sort_shares(estimate, now_s, KAD_NETWORK_SIZE_FRESH_S, sorted);
  if (count < KAD_NETWORK_SIZE_ENOUGH) {
    count = sort_shares(estimate, now_s, UINT32_MAX, sorted);
  }
  if (count == 0) {
    return 0;
  }
  return 2 / (sorted[(count - 1) / 2] + sorted[count / 2]) + 1;
}
