/*
 * Requests for certificates (PKCS #10): a key, and the proof that whoever asks has it. Any thread.
 */
#ifndef TRUST_REQUEST_H
#define TRUST_REQUEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <openssl/evp.h>

#define REQUEST_BYTES_MAX ((size_t)16 * 1024)

/* Makes a new P-256 key and a request for 'identity', appended as PEM. */
void request_make(struct str identity, EVP_PKEY **key, struct buf *pem);
/*
 * Reads a request: its signature must be by its own key, which is P-256, and it may ask for one DNS
 * name and for nothing else. Returns 0 with the key and the name, or ERR_INVAL.
 */
MUST_USE int request_parse(
	struct str pem, EVP_PKEY **key, char *identity, size_t size, struct err *err);

#endif
