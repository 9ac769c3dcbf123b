/* Any bytes: a configuration, or an error; what loads can be printed and loads again. */
#include "config/config.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct config *config = NULL;
	struct err err = { 0 };
	struct str text = { (const char *)data, size };
	if (config_parse(text, "fuzz.yml", &config, &err) == 0) {
		struct buf printed = { 0 };
		config_print(config, &printed);
		buf_deinit(&printed);
		config_unref(config);
	}
	struct arena arena = { 0 };
	const struct config_targets *groups = NULL;
	size_t count = 0;
	(void)!config_parse_targets(&arena, text, "fuzz.json", &groups, &count, &err);
	arena_deinit(&arena);
	return 0;
}
