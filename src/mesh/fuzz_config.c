/*
 * The files an operator writes, the lines a gateway sends and what a hub reports: the first byte
 * chooses which.
 */
#include "mesh/catalogue.h"
#include "mesh/exports.h"
#include "mesh/link_file.h"
#include "mesh/trust_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	if (size == 0) {
		return 0;
	}
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct str text = { (const char *)data + 1, size - 1 };
	struct catalogue catalogue;
	struct link_config config;
	struct trust_report report;
	struct exports *exports = NULL;
	struct str name;
	switch (data[0] % 5) {
	case 0:
		if (catalogue_parse(&arena, text, &catalogue, NULL) == 0) {
			AUTO(buf_deinit) struct buf line = { 0 };
			catalogue_format(&catalogue, &line);
		}
		break;
	case 2:
		(void)!trust_report_parse(&arena, text, &report, NULL);
		break;
	case 1:
		(void)!link_config_parse(&arena, text, &config, NULL);
		break;
	case 3:
		(void)!export_check(&arena, text, &name, NULL);
		break;
	default:
		if (exports_parse(text, &exports, NULL) == 0) {
			exports_unref(exports);
		}
		break;
	}
	return 0;
}
