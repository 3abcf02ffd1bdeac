/* Token buckets: limits of so many tokens a second with bursts. Amounts are
 * thousandths of a token, so that `per_s` is also what flows in during one
 * millisecond, exactly.
 *
 *     const struct kad_token_rate rate = kad_token_rate_of(100, 400);
 *     struct kad_token_bucket bucket = {.filled_at = now};
 *     kad_token_bucket_fill(&bucket, &rate, now);
 *     if (kad_token_bucket_has(&bucket, &rate, KAD_TOKEN)) {
 *       kad_token_bucket_take(&bucket, &rate, KAD_TOKEN);
 *     }
 *
 * Many buckets may share one rate. The functions are inline: every datagram
 * passes several buckets. */
#ifndef KAD_BASE_TOKEN_BUCKET_H
#define KAD_BASE_TOKEN_BUCKET_H

#include "base/time.h"

#define KAD_TOKEN UINT64_C(1000)

/* Tokens a second, or a burst, at most; no product of these overflows. */
#define KAD_TOKEN_RATE_MAX (UINT64_MAX / KAD_TOKEN / 4)

/* How fast a bucket fills, and how much it holds. */
struct kad_token_rate {
  uint64_t per_s; /* tokens; 0 is no limit */
  uint64_t cap;   /* thousandths of a token */
};

/* Zero-initialised it is full. */
struct kad_token_bucket {
  uint64_t missing;      /* thousandths of a token, at most the cap */
  kad_time_ms filled_at; /* when that was so */
};

/* Makes a rate of `per_s` tokens a second with bursts of `burst` tokens. Both
 * are cut to KAD_TOKEN_RATE_MAX. */
static inline struct kad_token_rate kad_token_rate_of(uint64_t per_s,
                                                      uint64_t burst) {
  burst = burst < KAD_TOKEN_RATE_MAX ? burst : KAD_TOKEN_RATE_MAX;
  return (struct kad_token_rate){
      .per_s = per_s < KAD_TOKEN_RATE_MAX ? per_s : KAD_TOKEN_RATE_MAX,
      .cap = burst * KAD_TOKEN,
  };
}

/* Adds what has flowed in until `now`. */
static inline void kad_token_bucket_fill(struct kad_token_bucket *bucket,
                                         const struct kad_token_rate *rate,
                                         kad_time_ms now) {
  const kad_time_ms elapsed = kad_time_since(bucket->filled_at, now);
  if (rate->per_s == 0 || elapsed > rate->cap / rate->per_s) {
    bucket->missing = 0;
  } else {
    const uint64_t inflow = elapsed * rate->per_s;
    bucket->missing = bucket->missing > inflow ? bucket->missing - inflow : 0;
  }
  bucket->filled_at += elapsed;
}

/* Returns true if `amount` thousandths are there. */
static inline bool kad_token_bucket_has(const struct kad_token_bucket *bucket,
                                        const struct kad_token_rate *rate,
                                        uint64_t amount) {
  return rate->per_s == 0 || amount <= rate->cap - bucket->missing;
}

/* Takes `amount` thousandths, which are there. */
static inline void kad_token_bucket_take(struct kad_token_bucket *bucket,
                                         const struct kad_token_rate *rate,
                                         uint64_t amount) {
  bucket->missing += rate->per_s != 0 ? amount : 0;
}

/* Returns how long after `filled_at` the bucket is full, but for what flows in
 * during the last millisecond. */
static inline kad_time_ms kad_token_bucket_full_after(
    const struct kad_token_bucket *bucket, const struct kad_token_rate *rate) {
  return rate->per_s == 0 ? 0 : bucket->missing / rate->per_s;
}

#endif
