/* Any bytes as the hub's answers. */
#include "demo/answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct str body = { (const char *)data, size };
	struct arena arena = { 0 };
	struct answer_up *ups = NULL;
	struct answer_cluster *clusters = NULL;
	size_t count = 0;
	struct err err = { 0 };
	(void)!answers_read_up(body, &arena, &ups, &count, &err);
	(void)!answers_read_clusters(body, &arena, &clusters, &count, &err);
	arena_deinit(&arena);
	return 0;
}
