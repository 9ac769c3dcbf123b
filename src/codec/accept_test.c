#include "codec/compress.h"

#include "base/test.h"

static void chooses_what_the_header_prefers(void **state) {
	(void)state;
	static const struct {
		const char *header;
		enum compression with_zstd;
		enum compression without;
	} cases[] = {
		{ "", COMPRESSION_NONE, COMPRESSION_NONE },
		{ "gzip", COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ "GZIP", COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ "gzip, deflate, br, zstd", COMPRESSION_ZSTD, COMPRESSION_GZIP },
		{ "deflate", COMPRESSION_DEFLATE, COMPRESSION_DEFLATE },
		{ "gzip;q=0", COMPRESSION_NONE, COMPRESSION_NONE },
		{ "gzip;q=0.000, deflate", COMPRESSION_DEFLATE, COMPRESSION_DEFLATE },
		{ "gzip;q=0.5,deflate;q=0.8", COMPRESSION_DEFLATE, COMPRESSION_DEFLATE },
		{ "zstd ; q=0.1 , gzip ; q=0.2", COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ "*", COMPRESSION_ZSTD, COMPRESSION_GZIP },
		{ "*;q=0", COMPRESSION_NONE, COMPRESSION_NONE },
		{ "gzip;q=0, *", COMPRESSION_ZSTD, COMPRESSION_DEFLATE },
		{ "identity", COMPRESSION_NONE, COMPRESSION_NONE },
		{ "identity, gzip;q=0.9", COMPRESSION_NONE, COMPRESSION_NONE },
		{ "identity, gzip", COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ "br", COMPRESSION_NONE, COMPRESSION_NONE },
		{ "gzip;q=nonsense", COMPRESSION_NONE, COMPRESSION_NONE },
		{ ",,gzip,", COMPRESSION_GZIP, COMPRESSION_GZIP },
		{ "gzip;q=2", COMPRESSION_NONE, COMPRESSION_NONE },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct str header = str_of(cases[i].header);
		if (compression_negotiate(header, true) != cases[i].with_zstd ||
			compression_negotiate(header, false) != cases[i].without) {
			fail_msg("\"%s\" is answered with another compression", cases[i].header);
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(chooses_what_the_header_prefers),
	};
	return TEST_RUN(tests);
}
