/* Debian's libmicrohttpd brings GnuTLS, which the server does not use. It would
 * prepare itself when the program starts, and print a line of its own where
 * memory is short. Its function `_gnutls_global_init_skip`, which a program may
 * replace, tells it not to.
 *
 * Tested by tests/spec/cli/host_spec.lua. */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-*,readability-*) */

/* gnutls.h, which is not needed otherwise, declares it. */
__attribute__((visibility("default"))) int _gnutls_global_init_skip(void);

int _gnutls_global_init_skip(void) {
  return 1;
}

/* NOLINTEND(bugprone-reserved-identifier,cert-*,readability-*) */
