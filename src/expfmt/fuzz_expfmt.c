/*
 * Whatever bytes come, both readers end, and reading a body again with hints gives the same
 * entries.
 */
#include "base/check.h"
#include "base/hash.h"
#include "expfmt/expfmt.h"

#include <stdlib.h>

#define HINTS_MAX 4096

struct memory {
	struct exposition_hint hints[HINTS_MAX];
	size_t count;
};

static uint64_t bits_of(double value) {
	uint64_t bits = 0;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* Returns a digest of the entries; fills 'memory', or takes hints from it. */
static uint64_t read_all(
	enum exposition_format format, struct str text, struct memory *memory, bool with_hints) {
	struct arena arena = { 0 };
	struct buf body = { 0 };
	struct buf scratch = { 0 };
	struct exposition reader;
	struct err err = { 0 };
	uint64_t digest = 0;

	buf_add_str(&body, text);
	exposition_init(&reader, format, &body);
	for (size_t i = 0;; i++) {
		reader.hint = with_hints && i < memory->count ? &memory->hints[i] : NULL;
		int entry = exposition_next(&reader, &err);
		digest = digest * 31 + (uint64_t)entry;
		if (entry <= 0) {
			break;
		}
		struct str bytes = reader.entry;
		if (entry == EXPOSITION_SERIES) {
			struct label *pairs = NULL;
			size_t count = 0;
			bytes = reader.series;
			digest = digest * 31 + bits_of(reader.value) + bytes.len;
			(void)!exposition_labels(&arena, bytes, reader.type, &pairs, &count, &err);
		} else if (entry == EXPOSITION_HELP && !reader.hint_held) {
			(void)exposition_help(&reader, &scratch);
		}
		if (!with_hints && i < HINTS_MAX) {
			memory->hints[i] = (struct exposition_hint){
				.hash = hash_str(bytes, 0),
				.len = (uint32_t)bytes.len,
				.entry = (uint8_t)entry,
				.type = (uint8_t)reader.type,
			};
			memory->count = i + 1;
		}
	}
	arena_deinit(&arena);
	buf_deinit(&body);
	buf_deinit(&scratch);
	return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static struct memory memory;
	struct str text = { (const char *)data, size };
	enum exposition_format format = EXPOSITION_FORMAT_TEXT;
	struct err err = { 0 };

	for (int i = 0; i < 2; i++) {
		memory.count = 0;
		format = i == 0 ? EXPOSITION_FORMAT_TEXT : EXPOSITION_FORMAT_OPENMETRICS;
		uint64_t first = read_all(format, text, &memory, false);
		CHECK(read_all(format, text, &memory, true) == first);
	}
	(void)!exposition_negotiate(text, STR_EMPTY, &format, &err);
	return 0;
}
