/*
 * Scripts of PromQL tests from any bytes: what is read is run, with little of everything.
 */
#include "promqltest/script.h"

#include <stddef.h>

#define TEXT_BYTES_MAX 4096
#define MEMORY_BYTES_MAX (8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct budget budget;
	struct arena arena;
	struct script script;
	struct err err;
	size_t line;

	if (size > TEXT_BYTES_MAX) {
		return -1;
	}
	budget_init(&budget, NULL, "memory of a script", MEMORY_BYTES_MAX);
	arena_init(&arena, &budget);
	(void)script_parse(&arena, (struct str){ (const char *)data, size }, &script, &line, &err);
	arena_deinit(&arena);
	budget_deinit(&budget);
	return 0;
}
