/*
 * Compression of whole bodies, with a bound on what comes out.
 */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_DEFLATE,
	COMPRESSION_ZSTD
};

/* Appends the compressed bytes. 'level' as the format has it (gzip to 12, zstd to 19), 0: our
 * choice. */
void compress_body(enum compression kind, int level, struct str in, struct buf *out);
/*
 * Appends the decoded bytes, at most 'max'. Returns 0, ERR_CORRUPT, or ERR_LIMIT when there are
 * more; then 'out' is as it was. Gzip may have several members, zstd several frames. A deflate body
 * may come with or without zlib's wrapping.
 */
MUST_USE int decompress_body(
	enum compression kind, struct str in, size_t max, struct buf *out, struct err *err);
/*
 * The best of what an Accept-Encoding header allows (q=0 honoured); of equals zstd, if
 * 'zstd_allowed', then gzip, then deflate. COMPRESSION_NONE when it asks for none of them.
 */
enum compression compression_negotiate(struct str accept_encoding, bool zstd_allowed);
/* "gzip", "zstd", "deflate"; NULL for none. And back, from a Content-Encoding ("", "identity" and
 * "x-gzip" too); false for an unknown name. */
const char *compression_name(enum compression kind);
bool compression_parse(struct str name, enum compression *out);

/* Appends 'in' in Snappy's block format, as Prometheus' WAL and remote protocols use it. */
void snappy_compress_block(struct str in, struct buf *out);
/* Appends what a block holds. Returns 0, ERR_CORRUPT, or ERR_LIMIT past 'max'; then 'out' is as it
 * was. */
MUST_USE int snappy_decompress_block(struct str in, size_t max, struct buf *out, struct err *err);

#endif
