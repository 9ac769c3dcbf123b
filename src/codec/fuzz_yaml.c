/* Parses, and reads every scalar of what was accepted as every type. */
#include "codec/yaml.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void walk(const struct yaml_node *node, unsigned depth, size_t *count) {
	bool truth = false;
	int64_t whole = 0;
	double real = 0;
	struct str text = STR_EMPTY;
	size_t items = node->kind == YAML_MAPPING ? 2 * node->count : node->count;

	CHECK(depth <= YAML_DEPTH_MAX);
	/* Merged pairs are not counted on their own, each merge's source is. */
	CHECK(++*count <= 2 * YAML_NODES_MAX);
	(void)yaml_to_bool(node, &truth, NULL);
	(void)yaml_to_int(node, &whole, NULL);
	(void)yaml_to_double(node, &real, NULL);
	CHECK((yaml_to_str(node, &text, NULL) == 0) == (node->kind == YAML_SCALAR));
	for (size_t i = 0; i < items; i++) {
		walk(&node->items[i], depth + 1, count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct arena arena = { 0 };
	struct yaml_node *root = NULL;
	size_t count = 0;
	if (yaml_parse(&arena, (struct str){ (const char *)bytes, len }, &root, NULL) == 0) {
		walk(root, 1, &count);
	}
	arena_deinit(&arena);
	return 0;
}
