/* The scripts that are built into the program. The build writes their
 * definition with embed.lua. */
#ifndef KAD_HOST_SCRIPTS_H
#define KAD_HOST_SCRIPTS_H

#include <stddef.h>

/* One Lua source. */
struct kad_script {
  /* The name of a module as in `require` ("kadenza.task", "argparse"), or the
   * path of a policy or scenario below scripts/ ("policies/counter.lua"). */
  const char *name;
  /* The text; a NUL follows it. */
  const char *source;
  /* Bytes of the text, without the NUL. */
  size_t len;
};

/* All scripts; ends with an entry whose name is NULL. */
extern const struct kad_script kad_scripts[];

#endif
