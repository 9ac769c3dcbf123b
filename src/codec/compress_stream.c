#include "codec/compress_stream.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_LEVEL 3
#define ZSTD_WINDOW_LOG 19
#define GZIP_LEVEL 4
/* zlib: the largest window, with gzip's header and trailer instead of its own. */
#define GZIP_WINDOW_BITS (15 + 16)
#define GZIP_MEMORY_LEVEL 8
#define PIECE_BYTES (16U * 1024U)

struct compressor {
	ZSTD_CCtx *zstd; /* NULL: gzip. */
	z_stream gzip;
};

static void begin_zstd(struct compressor *compressor) {
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	CHECK(zstd);
	CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)));
	CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG)));
	CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1)));
	compressor->zstd = zstd;
}

struct compressor *compressor_new(enum compression kind) {
	struct compressor *compressor = MEMORY_NEW(struct compressor, 1);
	CHECK(kind == COMPRESSION_ZSTD || kind == COMPRESSION_GZIP);
	if (kind == COMPRESSION_ZSTD) {
		begin_zstd(compressor);
	} else {
		CHECK(deflateInit2(&compressor->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS,
			      GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK);
	}
	return compressor;
}

void compressor_free(struct compressor *compressor) {
	if (!compressor) {
		return;
	}
	if (compressor->zstd) {
		(void)ZSTD_freeCCtx(compressor->zstd);
	} else {
		(void)deflateEnd(&compressor->gzip);
	}
	free(compressor);
}

/* Runs zstd until the input is taken or, at the end, until all is out. */
static void run_zstd(
	struct compressor *compressor, struct str in, ZSTD_EndDirective mode, struct buf *out) {
	ZSTD_inBuffer input = { in.ptr, in.len, 0 };
	bool is_done = false;
	while (!is_done) {
		ZSTD_outBuffer output = { buf_reserve(out, PIECE_BYTES), PIECE_BYTES, 0 };
		size_t left = ZSTD_compressStream2(compressor->zstd, &output, &input, mode);
		CHECK(!ZSTD_isError(left));
		out->len += output.pos;
		is_done = mode == ZSTD_e_end ? left == 0 : input.pos == input.size;
	}
}

static void run_gzip(struct compressor *compressor, struct str in, int mode, struct buf *out) {
	z_stream *gzip = &compressor->gzip;
	CHECK(in.len <= UINT32_MAX);
	gzip->next_in = (Bytef *)(uintptr_t)in.ptr;
	gzip->avail_in = (uInt)in.len;
	int rc = Z_OK;
	do {
		gzip->next_out = (Bytef *)buf_reserve(out, PIECE_BYTES);
		gzip->avail_out = PIECE_BYTES;
		rc = deflate(gzip, mode);
		CHECK(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
		out->len += PIECE_BYTES - gzip->avail_out;
	} while (mode == Z_FINISH ? rc != Z_STREAM_END : gzip->avail_out == 0);
}

/* A buffer is followed by a NUL, which the reserved bytes may have overwritten. */
static void close_text(struct buf *out) {
	*buf_reserve(out, 1) = '\0';
}

void compressor_write(struct compressor *compressor, struct str in, struct buf *out) {
	if (compressor->zstd) {
		run_zstd(compressor, in, ZSTD_e_continue, out);
	} else {
		run_gzip(compressor, in, Z_NO_FLUSH, out);
	}
	close_text(out);
}

void compressor_end(struct compressor *compressor, struct buf *out) {
	if (compressor->zstd) {
		run_zstd(compressor, STR_EMPTY, ZSTD_e_end, out);
	} else {
		run_gzip(compressor, STR_EMPTY, Z_FINISH, out);
	}
	close_text(out);
}
