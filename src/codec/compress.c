#include "codec/compress.h"

#include "base/check.h"
#include "base/memory.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>

#define GZIP_LEVEL 6
#define ZSTD_LEVEL 3

/* No deflate stream gives more than this per byte, no snappy block more than that. */
#define DEFLATE_RATIO_MAX 1032
#define SNAPPY_RATIO_MAX 64

/* What RFC 9659 lets a zstd body ask of whoever decodes it: 8 MiB. */
#define ZSTD_WINDOW_LOG_MAX 23

#define GROW_MIN ((size_t)4096)

/* Counts 'len' bytes that were written behind the end. */
static void advance(struct buf *buf, size_t len) {
	buf->len += len;
	buf->ptr[buf->len] = '\0';
}

static void compress_deflate(enum compression kind, int level, struct str in, struct buf *out) {
	struct libdeflate_compressor *compressor =
		libdeflate_alloc_compressor(level > 0 ? level : GZIP_LEVEL);
	if (!compressor) {
		memory_exhausted(sizeof(void *));
	}
	bool is_gzip = kind == COMPRESSION_GZIP;
	size_t bound = is_gzip ? libdeflate_gzip_compress_bound(compressor, in.len)
			       : libdeflate_zlib_compress_bound(compressor, in.len);
	char *to = buf_reserve(out, bound);
	size_t len = is_gzip ? libdeflate_gzip_compress(compressor, in.ptr, in.len, to, bound)
			     : libdeflate_zlib_compress(compressor, in.ptr, in.len, to, bound);
	libdeflate_free_compressor(compressor);
	CHECK(len > 0);
	advance(out, len);
}

static void compress_zstd(int level, struct str in, struct buf *out) {
	size_t bound = ZSTD_compressBound(in.len);
	char *to = buf_reserve(out, bound);
	size_t len = ZSTD_compress(to, bound, in.ptr, in.len, level > 0 ? level : ZSTD_LEVEL);
	CHECK(!ZSTD_isError(len));
	advance(out, len);
}

void compress_body(enum compression kind, int level, struct str in, struct buf *out) {
	switch (kind) {
	case COMPRESSION_NONE:
		buf_add_str(out, in);
		break;
	case COMPRESSION_GZIP:
	case COMPRESSION_DEFLATE:
		compress_deflate(kind, level, in, out);
		break;
	case COMPRESSION_ZSTD:
		compress_zstd(level, in, out);
		break;
	}
}

static int too_large(struct err *err, enum compression kind, size_t max) {
	return err_set(err, ERR_LIMIT, "%s body is longer than the %zu bytes allowed",
		compression_name(kind), max);
}

static int corrupt(struct err *err, enum compression kind, const char *reason) {
	return err_set(err, ERR_CORRUPT, "%s body: %s", compression_name(kind), reason);
}

/* One member's worth of input and where it goes. */
struct inflation {
	struct libdeflate_decompressor *decompressor;
	enum compression kind;
	bool is_raw; /* Deflate without zlib's wrapping, as some send it. */
	struct str in;
	size_t consumed;
	size_t produced;
};

static enum libdeflate_result inflate_into(struct inflation *job, char *to, size_t room) {
	if (job->kind == COMPRESSION_GZIP) {
		return libdeflate_gzip_decompress_ex(job->decompressor, job->in.ptr, job->in.len,
			to, room, &job->consumed, &job->produced);
	}
	if (job->is_raw) {
		return libdeflate_deflate_decompress_ex(job->decompressor, job->in.ptr, job->in.len,
			to, room, &job->consumed, &job->produced);
	}
	return libdeflate_zlib_decompress_ex(job->decompressor, job->in.ptr, job->in.len, to, room,
		&job->consumed, &job->produced);
}

/* How much room to try first: gzip ends in its length (modulo 2^32, and only a claim). */
static size_t first_room(const struct inflation *job) {
	size_t guess = job->in.len * 4;
	if (job->kind == COMPRESSION_GZIP && job->in.len >= 18) {
		uint32_t claim = 0;
		memcpy(&claim, job->in.ptr + job->in.len - sizeof(claim), sizeof(claim));
		guess = claim / DEFLATE_RATIO_MAX <= job->in.len ? claim : guess;
	}
	return guess > GROW_MIN ? guess : GROW_MIN;
}

/* Decodes one member, giving it more room until it fits or 'max' is reached. */
static int inflate_member(struct inflation *job, size_t max, struct buf *out, struct err *err) {
	size_t room = first_room(job);
	for (;;) {
		room = room < max ? room : max;
		enum libdeflate_result result = inflate_into(job, buf_reserve(out, room), room);
		if (result == LIBDEFLATE_SUCCESS) {
			advance(out, job->produced);
			return 0;
		}
		if (result == LIBDEFLATE_INSUFFICIENT_SPACE && room < max) {
			room *= 2;
		} else if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
			return too_large(err, job->kind, max);
		} else if (job->kind == COMPRESSION_DEFLATE && !job->is_raw) {
			job->is_raw = true;
		} else {
			return corrupt(err, job->kind, "it is damaged or cut short");
		}
	}
}

static int inflate_all(struct inflation *job, size_t max, struct buf *out, struct err *err) {
	size_t start = out->len;
	int rc = 0;
	do {
		rc = inflate_member(job, max - (out->len - start), out, err);
		job->in = str_from(job->in, rc == 0 ? job->consumed : 0);
	} while (rc == 0 && job->in.len > 0 && job->kind == COMPRESSION_GZIP);
	return rc == 0 && job->in.len > 0 ? corrupt(err, job->kind, "bytes follow its end") : rc;
}

static int decompress_deflate(
	enum compression kind, struct str in, size_t max, struct buf *out, struct err *err) {
	struct inflation job = { .kind = kind, .in = in };
	job.decompressor = libdeflate_alloc_decompressor();
	if (!job.decompressor) {
		memory_exhausted(sizeof(void *));
	}
	int rc = inflate_all(&job, max, out, err);
	libdeflate_free_decompressor(job.decompressor);
	return rc;
}

/* More room for zstd's output: as much again as there is, at most 'max' and a byte to notice more.
 */
static size_t zstd_room(struct str in, size_t produced, size_t max) {
	size_t room = produced > in.len * 2 ? produced : in.len * 2;
	room = room > GROW_MIN ? room : GROW_MIN;
	return room < max - produced ? room : max - produced + 1;
}

static int zstd_all(
	ZSTD_DCtx *context, struct str in, size_t max, struct buf *out, struct err *err) {
	size_t start = out->len;
	size_t open = 1; /* 0 between frames. */
	ZSTD_inBuffer from = { in.ptr, in.len, 0 };
	bool was_full = true;
	while (from.pos < from.size || (open != 0 && was_full)) {
		size_t room = zstd_room(in, out->len - start, max);
		ZSTD_outBuffer to = { buf_reserve(out, room), room, 0 };
		open = ZSTD_decompressStream(context, &to, &from);
		if (ZSTD_isError(open)) {
			return corrupt(err, COMPRESSION_ZSTD, ZSTD_getErrorName(open));
		}
		advance(out, to.pos);
		was_full = to.pos == to.size;
		if (out->len - start > max) {
			return too_large(err, COMPRESSION_ZSTD, max);
		}
	}
	return open != 0 ? corrupt(err, COMPRESSION_ZSTD, "it is cut short") : 0;
}

static int decompress_zstd(struct str in, size_t max, struct buf *out, struct err *err) {
	ZSTD_DCtx *context = ZSTD_createDCtx();
	if (!context) {
		memory_exhausted(sizeof(void *));
	}
	CHECK(!ZSTD_isError(
		ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)));
	int rc = zstd_all(context, in, max, out, err);
	(void)ZSTD_freeDCtx(context);
	return rc;
}

/* Takes back what a failed call appended. */
static void cut(struct buf *out, size_t len) {
	if (out->ptr) {
		out->len = len;
		out->ptr[len] = '\0';
	}
}

int decompress_body(
	enum compression kind, struct str in, size_t max, struct buf *out, struct err *err) {
	size_t start = out->len;
	int rc = 0;
	max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4;
	switch (kind) {
	case COMPRESSION_NONE:
		rc = in.len > max ? err_set(err, ERR_LIMIT,
					    "body of %zu bytes is longer than the %zu allowed",
					    in.len, max)
				  : 0;
		if (rc == 0) {
			buf_add_str(out, in);
		}
		break;
	case COMPRESSION_GZIP:
	case COMPRESSION_DEFLATE:
		rc = decompress_deflate(kind, in, max, out, err);
		break;
	case COMPRESSION_ZSTD:
		rc = decompress_zstd(in, max, out, err);
		break;
	}
	if (rc < 0) {
		cut(out, start);
	}
	return rc;
}

static const char *const names[] = { NULL, "gzip", "deflate", "zstd" };

const char *compression_name(enum compression kind) {
	return names[kind];
}

bool compression_parse(struct str name, enum compression *out) {
	if (name.len == 0 || str_equal_nocase(name, STR("identity"))) {
		*out = COMPRESSION_NONE;
		return true;
	}
	if (str_equal_nocase(name, STR("x-gzip"))) {
		*out = COMPRESSION_GZIP;
		return true;
	}
	for (size_t i = 1; i < ARRAY_COUNT(names); i++) {
		if (str_equal_nocase(name, str_of(names[i]))) {
			*out = (enum compression)i;
			return true;
		}
	}
	return false;
}

void snappy_compress_block(struct str in, struct buf *out) {
	size_t len = snappy_max_compressed_length(in.len);
	char *to = buf_reserve(out, len);
	CHECK(snappy_compress(in.ptr ? in.ptr : "", in.len, to, &len) == SNAPPY_OK);
	advance(out, len);
}

int snappy_decompress_block(struct str in, size_t max, struct buf *out, struct err *err) {
	size_t len = 0;
	if (snappy_uncompressed_length(in.ptr ? in.ptr : "", in.len, &len) != SNAPPY_OK ||
		len / SNAPPY_RATIO_MAX > in.len) {
		return err_set(err, ERR_CORRUPT, "snappy block of %zu bytes is damaged", in.len);
	}
	if (len > max) {
		return err_set(err, ERR_LIMIT,
			"snappy block holds %zu bytes, more than the %zu allowed", len, max);
	}
	char *to = buf_reserve(out, len);
	if (snappy_uncompress(in.ptr, in.len, to, &len) != SNAPPY_OK) {
		cut(out, out->len);
		return err_set(err, ERR_CORRUPT, "snappy block of %zu bytes is damaged", in.len);
	}
	advance(out, len);
	return 0;
}
