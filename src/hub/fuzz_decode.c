/* Any bytes as a cluster's answer: steps, lists and documents, or an error. */
#include "hub/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct decode_options options = {
		.grid = { .start_ms = 0, .step_ms = 1000, .count = 10 },
		.is_range = true,
		.cluster_label = { "cluster", 7 },
		.cluster = { "a", 1 },
		.bytes_max = 1 << 20,
	};
	struct str body = { (const char *)data, size };
	struct arena arena = { 0 };
	struct query_result result = { 0 };
	struct labels_list series = { 0 };
	struct str_list strings = { 0 };
	struct err err = { 0 };
	(void)!decode_query(body, 200, &options, &arena, &result, &err);
	(void)!decode_series(body, 200, &options, &arena, &series, &err);
	(void)!decode_strings(body, 422, &arena, &strings, &err);
	arena_deinit(&arena);
	return 0;
}
