#include "io/tls_library.h"
#include "io/tls_open.h"
#include "io/tls_session.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads all of 'wire' in parts of 'step' bytes. */
static void read_all(struct tls_open *open, struct str wire, size_t step) {
	AUTO(buf_deinit) struct buf answers = { 0 };
	static char room[TLS_ROOM_BYTES];
	struct err err = { 0 };
	int rc = TLS_READ_MORE;
	for (size_t at = 0; at < wire.len && (rc == TLS_READ_MORE || rc == TLS_READ_DATA);
		at += step) {
		struct str input = str_first(str_from(wire, at), step);
		do {
			size_t len = 0;
			rc = tls_open_read(open, &input, &answers, room, &len, &err);
		} while (rc == TLS_READ_DATA);
	}
}

/*
 * First byte: bit 0 whose side we are, the rest in which parts it comes. Then records: a byte of
 * type, one of length and the content, which is sealed; type 255 is put on the wire as it is.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const unsigned char secret[TLS_SECRET_BYTES_MAX];
	static struct tls_suites suites;
	if (!suites.kdf) {
		tls_suites_init(&suites, tls_library());
	}
	if (size == 0) {
		return 0;
	}
	struct tls_open peer = { 0 };
	struct tls_open open = { .is_client = data[0] & 1 };
	if (!tls_records_init(&peer.records, &suites, 0x1301, secret, secret) ||
		!tls_records_init(&open.records, &suites, 0x1301, secret, secret)) {
		return 0;
	}
	AUTO(buf_deinit) struct buf wire = { 0 };
	for (size_t at = 1; at + 2 <= size;) {
		size_t len = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;
		const char *content = (const char *)data + at + 2;
		if (data[at] == 255) {
			buf_append(&wire, content, len);
		} else {
			tls_records_seal(&peer.records, data[at], content, len, &wire);
		}
		at += 2 + len;
	}
	read_all(&open, buf_str(&wire), (size_t)(data[0] >> 1) + 1);
	tls_open_deinit(&peer);
	tls_open_deinit(&open);
	return 0;
}
