/*
 * Compression of a body that comes in pieces, in bounded memory: what a gateway sends over a link.
 *
 * One body per compressor, one thread at a time.
 */
#ifndef CODEC_COMPRESS_STREAM_H
#define CODEC_COMPRESS_STREAM_H

#include "base/buf.h"
#include "base/str.h"
#include "codec/compress.h"

struct compressor;

/*
 * For one body in gzip or zstd. Keeps a window of at most 512 KiB of what it saw, so it holds about
 * 2 MB (zstd) or 300 kB (gzip).
 */
struct compressor *compressor_new(enum compression kind);
/* NULL is fine; the body need not have ended. */
void compressor_free(struct compressor *compressor);
/* Takes a piece; appends to 'out' what is ready, which may be nothing. */
void compressor_write(struct compressor *compressor, struct str in, struct buf *out);
/* Appends the rest; nothing may be written after. */
void compressor_end(struct compressor *compressor, struct buf *out);

#endif
