/*
 * OpenSSL's library context for TLS between ours: the default provider's algorithms, of which keys
 * are of few kinds and are decoded from certificates only.
 *
 * For each certificate that arrives OpenSSL 3.0 builds a list of all decoders and kinds of keys
 * there are and sifts it, which takes longer than all arithmetic of a handshake. Here there are
 * as many as peers may use: P-256 and the like, Ed25519, X25519, and RSA, so that such a key is
 * refused for what it is.
 */
#ifndef IO_TLS_LIBRARY_H
#define IO_TLS_LIBRARY_H

#include <openssl/types.h>

/* The process' one; made at the first call and never changed or freed. Any thread. */
OSSL_LIB_CTX *tls_library(void);

#endif
