/*
 * The state file: what is read comes out again as it went in.
 */
#include "base/check.h"
#include "mirror/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf again = { 0 };
	struct mirror_view *views = NULL;
	size_t count = 0;
	if (state_parse(&arena, (struct str){ (const char *)data, size }, &views, &count, NULL) <
		0) {
		return 0;
	}
	state_format(views, count, &text);
	CHECK(state_parse(&arena, buf_str(&text), &views, &count, NULL) == 0);
	state_format(views, count, &again);
	CHECK(str_equal(buf_str(&text), buf_str(&again)));
	return 0;
}
