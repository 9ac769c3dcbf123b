#include "promql/steps.h"

int step_column_build(
	struct arena *arena, size_t step_count, struct step_column *out, struct err *err) {
	double *values = ARENA_TRY_NEW(arena, double, step_count, err);
	uint64_t *present =
		values ? ARENA_TRY_NEW(arena, uint64_t, step_words(step_count), err) : NULL;

	if (!present) {
		return ERR_LIMIT;
	}
	*out = (struct step_column){ .values = values, .present = present };
	return 0;
}

bool step_column_is_empty(const struct step_column *column, size_t step_count) {
	for (size_t i = 0; i < step_words(step_count); i++) {
		if (column->present[i] != 0) {
			return false;
		}
	}
	return true;
}
