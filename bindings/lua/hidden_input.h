/* hidden_input.h: reads what a user types, and the terminal does not show. */
#ifndef KAD_LUA_HIDDEN_INPUT_H
#define KAD_LUA_HIDDEN_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* Writes `prompt` to the terminal of the process, not to its standard streams,
 * and reads a line of at most `cap` bytes, without showing it. `*len` is its
 * length, with the end of the line. A signal that ends or stops the process
 * does so after the terminal shows again what is typed. Returns 0, or
 *   KAD_ENOTFOUND  the process has no terminal
 *   KAD_ECANCELED  the user has ended the input, or a signal has
 *   KAD_ESYSTEM    the terminal cannot be read */
int kad_hidden_input_read(const char *prompt, uint8_t *bytes, size_t cap,
                          size_t *len);

#endif
