/* kadenza_option.h: the options of a node by name, for programs that read or
 * show them, and their change while a node runs.
 *
 * Options are the rows of KAD_CONFIG_MAP in kadenza.h, and the fields of struct
 * kad_config. */
#ifndef KADENZA_OPTION_H
#define KADENZA_OPTION_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Type of an option. */
enum kad_option_type {
  KAD_OPTION_TYPE_BOOL,
  KAD_OPTION_TYPE_UINT32,
  KAD_OPTION_TYPE_UINT64,
  KAD_OPTION_TYPE_CHOICE /* a uint8_t: one of a few names */
};

/* Values of the option read_only. */
enum kad_read_only {
  KAD_READ_ONLY_OFF, /* never */
  KAD_READ_ONLY_ON,  /* always */
  KAD_READ_ONLY_AUTO /* while others cannot reach it: kadenza_reachability.h */
};

/* An option of KAD_CONFIG_MAP, for programs that read or show options by name.
 * A bool is 0 or 1, a choice the place of its name, from 0. */
struct kad_option {
  const char *name;
  enum kad_option_type type;
  size_t offset;    /* bytes, of its field in struct kad_config */
  uint64_t initial; /* the default */
  uint64_t min;
  uint64_t max;
  const char *unit;    /* "ms", "s", "bytes", "1/s", "bytes/s", or "" */
  const char *choices; /* of a choice: its names, as "off on"; else NULL */
  const char *text;    /* what it is for: a sentence or two */
};

/* Returns the options, and sets `*count` to their number. Always valid. */
KAD_API const struct kad_option *kad_config_options(size_t *count);

/* Returns the name of the value `value` of a choice, such as "off"; empty for
 * another option, or a value out of its range. */
KAD_API struct kad_slice kad_config_choice(const struct kad_option *option,
                                           uint64_t value);

/* Returns whether kad_node_configure changes `option`. */
KAD_API bool kad_config_is_live(const struct kad_option *option);

/* Returns the value of `option` in `config`. */
KAD_API uint64_t kad_config_get(const struct kad_config *config,
                                const struct kad_option *option);

/* Sets `option` in `config`. Returns 0, or KAD_EINVAL, with nothing changed,
 * for a value out of its range. */
KAD_API KAD_MUST_CHECK int kad_config_set(struct kad_config *config,
                                          const struct kad_option *option,
                                          uint64_t value);

/* Sets the live options of a node to those of `config`; ignores the others.
 * Returns 0, or, with nothing changed, KAD_EINVAL or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_node_configure(struct kad_node *node,
                                              const struct kad_config *config);

#ifdef __cplusplus
}
#endif

#endif
