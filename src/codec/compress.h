/*
 * Compression of whole bodies, with a bound on what comes out.
 */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_DEFLATE, COMPRESSION_ZSTD };

/* Appends the compressed bytes. */
void compress_body(enum compression kind, int level, struct str in, struct buf *out);
/* Appends the decoded bytes. Returns 0, ERR_CORRUPT, or ERR_LIMIT past 'max' bytes. */
MUST_USE int decompress_body(enum compression kind, struct str in, size_t max, struct buf *out,
	struct err *err);
/* The best of what an Accept-Encoding header allows (q=0 honoured), among 'zstd_allowed' ones. */
enum compression compression_negotiate(struct str accept_encoding, bool zstd_allowed);
/* "gzip", "zstd", "deflate"; NULL for none. And back; false for an unknown name. */
const char *compression_name(enum compression kind);
bool compression_parse(struct str name, enum compression *out);

/* Snappy's block format, as Prometheus' WAL and remote protocols use it. */
void snappy_compress_block(struct str in, struct buf *out);
MUST_USE int snappy_decompress_block(struct str in, size_t max, struct buf *out, struct err *err);

#endif
