/*
 * One TLS connection as bytes in, bytes out: what arrived is given by tls_session_input, what has
 * to be sent is appended to the buffer of tls_session_output. Owned by one stream.
 */
#ifndef IO_TLS_SESSION_H
#define IO_TLS_SESSION_H

#include "base/buf.h"
#include "io/tls.h"
#include "io/tls_record.h"

#include <stddef.h>

/* Outcomes of tls_session_read besides errors. */
#define TLS_READ_MORE 0 /* Needs more input. */
#define TLS_READ_DATA 1
#define TLS_READ_END 2 /* The peer said close_notify. */

/* Where one record is decrypted to: its largest plaintext, type and padding. */
#define TLS_ROOM_BYTES (TLS_RECORD_BYTES + 256)

struct tls_session;

/* Begins with the slot's identity of this moment. Returns 0 or ERR_INVAL (unusable options). */
MUST_USE int tls_session_new(const struct tls_options *options, bool is_client,
	struct tls_session **out, struct err *err);
void tls_session_free(struct tls_session *session);

/* Lends what arrived; it is taken from the front by the calls below. */
void tls_session_input(struct tls_session *session, struct str bytes);
/* What of it is left. */
struct str tls_session_unread(const struct tls_session *session);
/* Where records to send are appended from now on. */
void tls_session_output(struct tls_session *session, struct buf *output);

/*
 * Goes on with the handshake. Returns 1 when it is done ('peer' is then filled in), 0 when it needs
 * more input, ERR_DENIED (a certificate, identity or protocol was refused, by either side) or
 * ERR_IO (the peer does not speak TLS 1.3 properly).
 */
MUST_USE int tls_session_handshake(
	struct tls_session *session, struct tls_peer *peer, struct err *err);
/* Decrypts a record to 'out' of TLS_ROOM_BYTES. Returns one of TLS_READ_..., ERR_DENIED or ERR_IO.
 */
MUST_USE int tls_session_read(struct tls_session *session, char *out, size_t *len, struct err *err);
/* Encrypts up to TLS_RECORD_BYTES. */
void tls_session_write(struct tls_session *session, const char *bytes, size_t len);
/* Appends close_notify. */
void tls_session_shutdown(struct tls_session *session);

#endif
