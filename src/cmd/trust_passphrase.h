/*
 * Passphrases of authorities' keys, which come from files: a command line can be seen by others.
 */
#ifndef CMD_TRUST_PASSPHRASE_H
#define CMD_TRUST_PASSPHRASE_H

#include "base/buf.h"
#include "trust/authority.h"

/* A new key is not encrypted with less. */
#define PASSPHRASE_BYTES_MIN 12

/* A passphrase, wiped when it goes. */
struct passphrase {
	struct buf text; /* Empty: there is none. */
};

/* For AUTO. */
void passphrase_deinit(struct passphrase *passphrase);
/*
 * Reads the first line of 'file' ("-": standard input; NULL: no passphrase), which must have
 * 'bytes_min' bytes or more. Returns 0, ERR_IO, ERR_LIMIT or ERR_INVAL.
 */
MUST_USE int passphrase_read(
	const char *file, size_t bytes_min, struct passphrase *out, struct err *err);
/* authority_unlock with the passphrase in 'file', or none; says which flag is missing. */
MUST_USE int trust_unlock(
	const char *directory, const char *file, struct authority **out, struct err *err);

#define PASSPHRASE_FLAG "passphrase-file"

#endif
