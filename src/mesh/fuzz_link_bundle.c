/*
 * Link bundles, as they come and, so that more than the signature is reached, with their lines
 * signed by somebody who may.
 */
#include "base/check.h"
#include "mesh/link_bundle.h"
#include "trust/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct credentials *signer(void) {
	static struct credentials leaf;
	if (leaf.chain.len == 0) {
		struct authority *anchor = NULL;
		struct authority *issuer = NULL;
		const struct leaf_request request = { .name = STR("gateway"),
			.name_space = STR("a") };
		CHECK(authority_new_anchor(STR("mesh"), 0, clock_system(), &anchor, NULL) == 0);
		CHECK(authority_new_issuer(anchor, STR("west"), 0, clock_system(), &issuer, NULL) ==
			0);
		CHECK(authority_sign(issuer, &request, clock_system(), &leaf, NULL) == 0);
		authority_free(issuer);
		authority_free(anchor);
	}
	return &leaf;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct link_bundle bundle;
	buf_append(&text, data, size);
	if (size > 0 && data[size - 1] == '\n') {
		CHECK(signed_text_seal(signer(), &text, NULL) == 0);
	}
	if (link_bundle_parse(&arena, buf_str(&text), &bundle, NULL) == 0) {
		AUTO(buf_deinit) struct buf file = { 0 };
		(void)!link_bundle_judge(&bundle, bundle.anchors_pem, bundle.created_ms, NULL);
		link_bundle_format_file(&bundle, &file);
	}
	return 0;
}
