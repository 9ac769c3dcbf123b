/*
 * Errors: a code for the program, a sentence for the person.
 *
 * A call that can fail returns 0 or more on success and one of the negative codes below on
 * failure. Where a person will read the reason, it also takes a 'struct err *' as its last
 * parameter and puts the sentence there. The struct lives on the stack of whoever reports the
 * error; NULL means nobody will. Outputs are written only on success.
 *
 * Outcomes that callers are meant to handle - end of a list, not found - are not errors: they are
 * a positive result or a bool, as each function says.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/compiler.h"

enum err_code {
	ERR_INVAL = -1,    /* The input breaks a rule; the sender must change it. */
	ERR_LIMIT = -2,    /* A configured limit was reached; the sentence names it. */
	ERR_CORRUPT = -3,  /* Stored or received bytes fail their checks. */
	ERR_IO = -4,       /* The system or a peer refused; the sentence has the reason. */
	ERR_TIMEOUT = -5,  /* The deadline passed. */
	ERR_CLOSED = -6,   /* The peer or the object is gone. */
	ERR_CANCELED = -7, /* Whoever asked went away or asked to stop. */
	ERR_DENIED = -8,   /* Policy or identity forbids it. */
	ERR_ABSENT = -9,   /* Known, but not built yet; the sentence names what. */
	ERR_EXEC = -10,    /* A query is well formed but its evaluation fails (HTTP 422). */
};

struct err {
	int code;
	char text[508];
};

/* Fills 'err' and returns 'code', so that failing is one statement. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);

/* Puts "what: " before the sentence in 'err' and returns 'code' unchanged. */
int err_wrap(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);

/* As err_set with ERR_IO, ending in ": " and strerror('system_errno'). Returns ERR_IO. */
int err_errno(struct err *err, int system_errno, const char *fmt, ...) PRINTF(3, 4);

/* The code's short name for logs: "inval", "limit", ... */
const char *err_name(int code);

#endif
