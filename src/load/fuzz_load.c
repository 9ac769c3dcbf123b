/* Any bytes as a file to load, in pieces of any size: the same is loaded as in one piece. */
#include "load/load.h"

#include "base/check.h"
#include "load/testing.h"

#include <stdlib.h>

static int load(const uint8_t *bytes, size_t len, enum exposition_format format, size_t piece_bytes,
	struct load_count *count) {
	struct test_appendable to = { { test_begin } };
	const struct load_options options = {
		.format = format, .to = &to.appendable, .piece_bytes = piece_bytes
	};
	FILE *in = fmemopen((void *)(uintptr_t)bytes, len, "r");
	int rc;

	CHECK(in);
	load_count_init(count);
	rc = load_file(in, "file", &options, count, NULL);
	(void)fclose(in);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct load_count whole;
	struct load_count parts;

	if (len < 3) {
		return 0;
	}
	enum exposition_format format =
		bytes[0] % 2 ? EXPOSITION_FORMAT_TEXT : EXPOSITION_FORMAT_OPENMETRICS;
	int rc = load(bytes + 2, len - 2, format, len + 16, &whole);

	/* Lines may be too long for small pieces, and quotes may hold newlines in one piece. */
	if (load(bytes + 2, len - 2, format, 16 + (size_t)bytes[1] * 8, &parts) == 0 && rc == 0) {
		CHECK(whole.samples == parts.samples && whole.series == parts.series);
		CHECK(whole.min_ms == parts.min_ms && whole.max_ms == parts.max_ms);
	}
	return 0;
}
