#include "io/tls_open.h"

#include "base/check.h"
#include "base/reuse.h"
#include "io/tls_internal.h"
#include "io/tls_session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

/* The longest ciphertext of a record. */
#define SEALED_BYTES_MAX (TLS_RECORD_BYTES + 256)
#define LEVEL_WARNING 1
#define LEVEL_FATAL 2
/* Messages after the handshake. */
#define NEW_SESSION_TICKET 4
#define KEY_UPDATE 24
#define MESSAGE_HEADER_BYTES 4

void tls_open_deinit(struct tls_open *open) {
	if (open->records.suites) {
		tls_records_deinit(&open->records);
	}
	reuse_free(open->partial);
	open->partial = NULL;
}

/* Tells the peer by an alert, and us by OpenSSL's sentence for 'reason'. */
static int fail(struct tls_open *open, struct buf *output, unsigned char alert, int reason,
	struct err *err) {
	const char message[] = { LEVEL_FATAL, (char)alert };
	tls_records_seal(&open->records, TLS_ALERT, message, sizeof(message), output);
	return err_set(
		err, ERR_IO, "TLS: %s", ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason)));
}

static int check_header(struct tls_open *open, const unsigned char *header, size_t *sealed,
	struct buf *output, struct err *err) {
	*sealed = (size_t)header[3] << 8 | header[4];
	if (header[0] != TLS_DATA) {
		return fail(open, output, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_BAD_RECORD_TYPE, err);
	}
	if (header[1] != 3 || header[2] != 3) {
		return fail(open, output, SSL_AD_PROTOCOL_VERSION, SSL_R_WRONG_VERSION_NUMBER, err);
	}
	if (*sealed > SEALED_BYTES_MAX) {
		return fail(
			open, output, SSL_AD_RECORD_OVERFLOW, SSL_R_ENCRYPTED_LENGTH_TOO_LONG, err);
	}
	return 0;
}

static struct str take(struct str *input, size_t len) {
	struct str taken = str_first(*input, len);
	*input = str_from(*input, taken.len);
	return taken;
}

/* Collects a record that came in parts. Returns 1 when it is whole, 0 for more. */
static int collect(struct tls_open *open, struct str *input, struct str *record, struct buf *output,
	struct err *err) {
	if (!open->partial) {
		struct str part = take(input, TLS_RECORD_HEADER_BYTES - open->header_len);
		memcpy(open->header + open->header_len, part.ptr, part.len);
		open->header_len += part.len;
		if (open->header_len < TLS_RECORD_HEADER_BYTES) {
			return 0;
		}
		size_t sealed = 0;
		int rc = check_header(open, open->header, &sealed, output, err);
		if (rc < 0) {
			return rc;
		}
		open->partial_wanted = TLS_RECORD_HEADER_BYTES + sealed;
		open->partial = reuse_alloc(open->partial_wanted);
		CHECK(open->partial);
		memcpy(open->partial, open->header, TLS_RECORD_HEADER_BYTES);
		open->partial_len = TLS_RECORD_HEADER_BYTES;
		open->header_len = 0;
	}
	struct str part = take(input, open->partial_wanted - open->partial_len);
	memcpy(open->partial + open->partial_len, part.ptr, part.len);
	open->partial_len += part.len;
	*record = (struct str){ open->partial, open->partial_len };
	return open->partial_len == open->partial_wanted;
}

/* The next record, where it lies if all of it came at once. Returns 1, 0 for more, or ERR_IO. */
static int next_record(struct tls_open *open, struct str *input, struct str *record,
	struct buf *output, struct err *err) {
	if (input->len == 0) {
		return 0;
	}
	if (open->header_len > 0 || open->partial || input->len < TLS_RECORD_HEADER_BYTES) {
		return collect(open, input, record, output, err);
	}
	size_t sealed = 0;
	int rc = check_header(open, (const unsigned char *)input->ptr, &sealed, output, err);
	if (rc < 0) {
		return rc;
	}
	if (input->len < TLS_RECORD_HEADER_BYTES + sealed) {
		return collect(open, input, record, output, err);
	}
	*record = take(input, TLS_RECORD_HEADER_BYTES + sealed);
	return 1;
}

static void change_out_key(struct tls_open *open, struct buf *output) {
	static const char message[] = { KEY_UPDATE, 0, 0, 1, 0 }; /* Asks for none in return. */
	tls_records_seal(&open->records, TLS_HANDSHAKE, message, sizeof(message), output);
	tls_records_update(&open->records, &open->records.out);
}

/* The peer goes on with a new key, and may want us to. Nothing may follow in the same record. */
static int on_key_update(
	struct tls_open *open, struct str message, struct buf *output, struct err *err) {
	if (message.len != MESSAGE_HEADER_BYTES + 1 || message.ptr[1] != 0 || message.ptr[2] != 0 ||
		message.ptr[3] != 1) {
		return fail(
			open, output, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_NOT_ON_RECORD_BOUNDARY, err);
	}
	char wants_answer = message.ptr[MESSAGE_HEADER_BYTES];
	if (wants_answer != 0 && wants_answer != 1) {
		return fail(open, output, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_KEY_UPDATE, err);
	}
	tls_records_update(&open->records, &open->records.in);
	if (wants_answer) {
		change_out_key(open, output);
	}
	return 0;
}

/* Messages after the handshake: key updates, and tickets that we have no use for. */
static int on_messages(
	struct tls_open *open, struct str bytes, struct buf *output, struct err *err) {
	while (bytes.len > 0) {
		if (open->ticket_left > 0) {
			open->ticket_left -= take(&bytes, open->ticket_left).len;
			continue;
		}
		if (bytes.ptr[0] == KEY_UPDATE) {
			return on_key_update(open, bytes, output, err);
		}
		if (bytes.ptr[0] != NEW_SESSION_TICKET || !open->is_client ||
			bytes.len < MESSAGE_HEADER_BYTES) {
			return fail(open, output, SSL_AD_UNEXPECTED_MESSAGE,
				SSL_R_UNEXPECTED_MESSAGE, err);
		}
		const unsigned char *header = (const unsigned char *)bytes.ptr;
		open->ticket_left = (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
		bytes = str_from(bytes, MESSAGE_HEADER_BYTES);
	}
	return TLS_READ_MORE;
}

/* Returns TLS_READ_END when the peer says so, TLS_READ_MORE to go on, or why it breaks off. */
static int on_alert(struct tls_open *open, struct str bytes, struct buf *output, struct err *err) {
	if (bytes.len != 2) {
		return fail(open, output, SSL_AD_DECODE_ERROR, SSL_R_INVALID_ALERT, err);
	}
	int alert = (unsigned char)bytes.ptr[1];
	if (alert == SSL_AD_CLOSE_NOTIFY) {
		return TLS_READ_END;
	}
	if (alert == SSL_AD_USER_CANCELLED) {
		return TLS_READ_MORE;
	}
	return tls_alert_fail(alert, err);
}

static int on_record(
	struct tls_open *open, int type, struct str bytes, struct buf *output, struct err *err) {
	if (type < 0) {
		return fail(open, output, SSL_AD_BAD_RECORD_MAC,
			SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, err);
	}
	if (bytes.len > TLS_RECORD_BYTES) {
		return fail(open, output, SSL_AD_RECORD_OVERFLOW, SSL_R_DATA_LENGTH_TOO_LONG, err);
	}
	if (open->ticket_left > 0 && type != TLS_HANDSHAKE) {
		return fail(open, output, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD, err);
	}
	if (type == TLS_DATA && bytes.len > 0) {
		open->idle_records = 0;
		return TLS_READ_DATA;
	}
	if (++open->idle_records > TLS_IDLE_RECORDS_MAX) {
		return fail(open, output, SSL_AD_UNEXPECTED_MESSAGE,
			type == TLS_HANDSHAKE ? SSL_R_TOO_MANY_KEY_UPDATES : SSL_R_RECORD_TOO_SMALL,
			err);
	}
	switch (type) {
	case TLS_DATA:
		return TLS_READ_MORE;
	case TLS_ALERT:
		return on_alert(open, bytes, output, err);
	case TLS_HANDSHAKE:
		if (bytes.len > 0) {
			return on_messages(open, bytes, output, err);
		}
		return fail(open, output, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_BAD_LENGTH, err);
	default:
		return fail(open, output, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD, err);
	}
}

int tls_open_read(struct tls_open *open, struct str *input, struct buf *output, char *out,
	size_t *len, struct err *err) {
	int rc = TLS_READ_MORE;
	while (rc == TLS_READ_MORE) {
		struct str record;
		rc = next_record(open, input, &record, output, err);
		if (rc <= 0) {
			return rc < 0 ? rc : TLS_READ_MORE;
		}
		int type = tls_records_open(&open->records, record, out, len);
		reuse_free(open->partial);
		open->partial = NULL;
		rc = on_record(open, type, (struct str){ out, *len }, output, err);
	}
	return rc;
}

void tls_open_write(struct tls_open *open, const char *bytes, size_t len, struct buf *output) {
	if (open->records.out.sequence >= TLS_RECORDS_PER_KEY) {
		change_out_key(open, output);
	}
	tls_records_seal(&open->records, TLS_DATA, bytes, len, output);
}

void tls_open_shutdown(struct tls_open *open, struct buf *output) {
	static const char message[] = { LEVEL_WARNING, SSL_AD_CLOSE_NOTIFY };
	tls_records_seal(&open->records, TLS_ALERT, message, sizeof(message), output);
}
