/*
 * Query strings and forms as the API reads them: parameters, times, durations, selectors, names.
 */
#include "api/params.h"
#include "base/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_queries(const struct uri_params *params) {
	struct query_request request = { 0 };
	int64_t timeout_ms = 120000;
	struct err err;

	(void)params_instant(params, 1000, &request, &timeout_ms, &err);
	request = (struct query_request){ 0 };
	if (params_range(params, &request, &timeout_ms, &err) == 0) {
		CHECK(request.grid.count <= ENGINE_STEPS_MAX + 1);
		CHECK(request.grid.step_ms > 0);
		CHECK(grid_time(&request.grid, request.grid.count - 1) <= request.end_ms);
	}
	CHECK(timeout_ms <= 120000);
}

static void read_selectors(const struct uri_params *params, struct arena *arena) {
	struct expr_tree trees[8] = { 0 };
	struct meta_request request = { 0 };
	bool bad_match = false;
	struct err err;

	if (params_count(params, STR("match[]")) > ARRAY_COUNT(trees)) {
		return;
	}
	(void)params_meta(params, trees, arena, &request, &bad_match, &err);
	for (size_t i = 0; i < ARRAY_COUNT(trees); i++) {
		expr_tree_deinit(&trees[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct str text = { (const char *)data, size };
	struct uri_params params = { 0 };
	struct err err;

	(void)param_unescape_name(&arena, text);
	if (uri_params_parse(&arena, text, &params, &err) == 0) {
		read_queries(&params);
		read_selectors(&params, &arena);
	}
	return 0;
}
