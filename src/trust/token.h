/*
 * Join tokens: each lets one process have its first certificate, once.
 *
 * A token is 32 random bytes in hex. What is kept of it, in a file of a directory, is its SHA-256,
 * the one identity it is for and when it ends; the file is removed before the token is accepted, so
 * that of several who come with it one wins.
 */
#ifndef TRUST_TOKEN_H
#define TRUST_TOKEN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

#include <stddef.h>
#include <stdint.h>

#define TOKEN_LEN 64
#define TOKEN_LIFETIME_MS_MAX (INT64_C(24) * 3600 * MS_PER_S)

/* Makes a token for 'identity', appended to 'token'; removes those that have ended. Returns 0,
 * ERR_INVAL (no identity; a lifetime of none or more than a day) or ERR_IO. */
MUST_USE int token_make(const char *directory, struct str identity, int64_t lifetime_ms,
	const struct clock *clock, struct buf *token, struct err *err);
/* Uses a token up. Returns 0 with its identity, or ERR_DENIED: the same for one that never was, was
 * used, or has ended. */
MUST_USE int token_redeem(const char *directory, struct str token, const struct clock *clock,
	char *identity, size_t size, struct err *err);

#endif
