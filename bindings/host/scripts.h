/* The scripts that the program carries; `embed.lua` writes their definition
 * when kadenza is built. */
#ifndef KAD_HOST_SCRIPTS_H
#define KAD_HOST_SCRIPTS_H

#include <stddef.h>

/* One Lua source. */
struct kad_script {
  /* A module as `require` names it ("kadenza.task", "argparse"), or a policy by
   * its path below scripts/ ("policies/counter.lua"). */
  const char *name;
  /* The text, followed by a NUL that `len` does not count. */
  const char *source;
  /* Its length in bytes. */
  size_t len;
};

/* All of them; the one after the last has no name. */
extern const struct kad_script kad_scripts[];

#endif
