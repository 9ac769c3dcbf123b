/*
 * A TLS 1.3 connection after its handshake: records in, bytes out and the other way, alerts, key
 * updates, and session tickets of servers, which are dropped. What a peer may do without sending
 * data is counted; what it may not do ends the connection with an alert.
 *
 * Owned by one session. An idle connection holds no buffer.
 */
#ifndef IO_TLS_OPEN_H
#define IO_TLS_OPEN_H

#include "base/err.h"
#include "io/tls_record.h"

#include <stdbool.h>

/* Records without data that a peer may send in a row. */
#define TLS_IDLE_RECORDS_MAX 32

struct tls_open {
	struct tls_records records;
	bool is_client;
	unsigned char header[TLS_RECORD_HEADER_BYTES]; /* Of a record of which less came. */
	size_t header_len;
	char *partial; /* A record of which not all came, of reuse.h. NULL: none. */
	size_t partial_len;
	size_t partial_wanted;
	size_t ticket_left;    /* Bytes of a ticket that come with the next record. */
	unsigned idle_records; /* Since the last data. */
};

/* Wipes and frees; fine on zeroed memory. */
void tls_open_deinit(struct tls_open *open);
/*
 * Takes records from the front of 'input' until one brings data, which goes to 'out' of at least
 * TLS_ROOM_BYTES. Answers go to 'output'. Returns as tls_session_read.
 */
MUST_USE int tls_open_read(struct tls_open *open, struct str *input, struct buf *output, char *out,
	size_t *len, struct err *err);
/* Encrypts up to TLS_RECORD_BYTES to 'output'. */
void tls_open_write(struct tls_open *open, const char *bytes, size_t len, struct buf *output);
/* Says close_notify. */
void tls_open_shutdown(struct tls_open *open, struct buf *output);

#endif
