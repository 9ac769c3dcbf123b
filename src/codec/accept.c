/*
 * Choosing a body's compression from an Accept-Encoding header (RFC 9110, 12.5.3).
 */
#include "codec/compress.h"

#include <stdint.h>

#define QUALITY_MAX 1000
#define QUALITY_ABSENT (-1)

/* "0", "0.5", "1.000" as thousandths; what is none of these forbids. */
static int quality_parse(struct str text) {
	struct str whole = str_cut(&text, '.');
	uint64_t value = 0;
	if (!str_to_u64(whole, &value) || value > 1 || text.len > 3) {
		return 0;
	}
	int quality = value == 1 ? QUALITY_MAX : 0;
	int unit = 100;
	for (size_t i = 0; i < text.len; i++, unit /= 10) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9') {
			return 0;
		}
		quality += (text.ptr[i] - '0') * unit;
	}
	return quality < QUALITY_MAX ? quality : QUALITY_MAX;
}

/* The quality of one list item, whose name is left in '*item'. */
static int item_quality(struct str *item) {
	struct str rest = *item;
	int quality = QUALITY_MAX;
	*item = str_trim(str_cut(&rest, ';'));
	while (rest.len > 0) {
		struct str parameter = str_trim(str_cut(&rest, ';'));
		if (str_starts(parameter, STR("q=")) || str_starts(parameter, STR("Q="))) {
			quality = quality_parse(str_from(parameter, 2));
		}
	}
	return quality;
}

enum compression compression_negotiate(struct str accept_encoding, bool zstd_allowed) {
	/* In order of our liking. */
	static const enum compression liked[] = { COMPRESSION_ZSTD, COMPRESSION_GZIP,
		COMPRESSION_DEFLATE };
	int quality[] = { QUALITY_ABSENT, QUALITY_ABSENT, QUALITY_ABSENT, QUALITY_ABSENT };
	int others = QUALITY_ABSENT; /* "*" */

	while (accept_encoding.len > 0) {
		struct str item = str_cut(&accept_encoding, ',');
		int found = item_quality(&item);
		enum compression kind = COMPRESSION_NONE;
		if (str_equal(item, STR("*"))) {
			others = found;
		} else if (item.len > 0 && compression_parse(item, &kind)) {
			quality[kind] = found;
		}
	}
	enum compression best = COMPRESSION_NONE;
	int best_quality = quality[COMPRESSION_NONE] > 0 ? quality[COMPRESSION_NONE] - 1 : 0;
	for (size_t i = 0; i < ARRAY_COUNT(liked); i++) {
		enum compression kind = liked[i];
		int here = quality[kind] == QUALITY_ABSENT ? others : quality[kind];
		if (here > best_quality && (kind != COMPRESSION_ZSTD || zstd_allowed)) {
			best = kind;
			best_quality = here;
		}
	}
	return best;
}
