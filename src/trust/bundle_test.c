#include "trust/bundle.h"

#include "trust/certificate.h"
#include "trust/test_folder.h"

/* Two anchors, in PEM; the folder's own first. */
struct pair {
	struct folder folder;
	struct authority *other;
	struct credentials first;
	struct credentials second;
};

static void pair_init(struct pair *pair) {
	struct err err = { 0 };
	*pair = (struct pair){ 0 };
	folder_init(&pair->folder);
	assert_ok(
		authority_new_anchor(STR("mesh"), 0, &pair->folder.clock, &pair->other, &err), err);
	const char *path = folder_path(&pair->folder, "first");
	assert_ok(authority_save(pair->folder.anchor, path, &err), err);
	assert_ok(credentials_load(path, &pair->first, &err), err);
	path = folder_path(&pair->folder, "second");
	assert_ok(authority_save(pair->other, path, &err), err);
	assert_ok(credentials_load(path, &pair->second, &err), err);
}

static void pair_deinit(struct pair *pair) {
	credentials_deinit(&pair->first);
	credentials_deinit(&pair->second);
	authority_free(pair->other);
	folder_deinit(&pair->folder);
}

static void an_anchor_is_added_once(void **state) {
	(void)state;
	struct pair pair;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf bundle = { 0 };
	pair_init(&pair);
	struct str first = buf_str(&pair.first.chain);
	struct str second = buf_str(&pair.second.chain);
	assert_int_equal(bundle_add(&bundle, first, &err), 1);
	assert_int_equal(bundle_add(&bundle, first, &err), 0);
	assert_int_equal(bundle_add(&bundle, second, &err), 1);
	assert_int_equal(bundle_add(&bundle, second, &err), 0);
	struct trust_facts facts;
	assert_ok(trust_facts_read(first, buf_str(&bundle), &facts, &err), err);
	assert_int_equal(facts.anchor_count, 2);
	assert_true(strcmp(facts.anchors[0], facts.anchors[1]) < 0);
	pair_deinit(&pair);
}

static void a_bundle_without_a_newline_at_its_end_is_added_to(void **state) {
	(void)state;
	struct pair pair;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf bundle = { 0 };
	pair_init(&pair);
	struct str first = buf_str(&pair.first.chain);
	buf_add_str(&bundle, str_first(first, first.len - 1));
	assert_int_equal(bundle_add(&bundle, buf_str(&pair.second.chain), &err), 1);
	struct trust_facts facts;
	assert_ok(trust_facts_read(first, buf_str(&bundle), &facts, &err), err);
	assert_int_equal(facts.anchor_count, 2);
	pair_deinit(&pair);
}

static void what_is_no_anchor_is_refused(void **state) {
	(void)state;
	struct pair pair;
	struct err err = { 0 };
	AUTO(credentials_deinit) struct credentials issuer = { 0 };
	AUTO(buf_deinit) struct buf bundle = { 0 };
	pair_init(&pair);
	assert_ok(credentials_load(folder_path(&pair.folder, "issuer"), &issuer, &err), err);
	assert_int_equal(bundle_add(&bundle, buf_str(&issuer.chain), &err), ERR_INVAL);
	assert_string_equal(err.text, "the certificate of issuer of west is not a trust anchor");
	assert_int_equal(bundle.len, 0);
	pair_deinit(&pair);
}

static void a_bundle_has_an_end(void **state) {
	(void)state;
	struct pair pair;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf bundle = { 0 };
	pair_init(&pair);
	int rc = 0;
	for (int i = 0; rc >= 0 && i < BUNDLE_ANCHORS_MAX + 1; i++) {
		struct authority *anchor = NULL;
		AUTO(credentials_deinit) struct credentials made = { 0 };
		const char *path = folder_path(&pair.folder, "another");
		assert_ok(authority_new_anchor(STR("mesh"), 0, &pair.folder.clock, &anchor, &err),
			err);
		assert_ok(authority_save(anchor, path, &err), err);
		assert_ok(credentials_load(path, &made, &err), err);
		rc = bundle_add(&bundle, buf_str(&made.chain), &err);
		authority_free(anchor);
	}
	assert_int_equal(rc, ERR_LIMIT);
	pair_deinit(&pair);
}

static void the_anchor_of_a_chain_is_found(void **state) {
	(void)state;
	struct pair pair;
	struct err err = { 0 };
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	AUTO(buf_deinit) struct buf bundle = { 0 };
	pair_init(&pair);
	assert_ok(credentials_load(folder_path(&pair.folder, "leaf"), &leaf, &err), err);
	struct str chain = buf_str(&leaf.chain);
	struct trust_facts alone;
	struct trust_facts both;
	struct trust_facts foreign;
	assert_ok(trust_facts_read(chain, buf_str(&pair.first.chain), &alone, &err), err);
	assert_string_equal(alone.chain_anchor, alone.anchors[0]);
	assert_int_equal(bundle_add(&bundle, buf_str(&pair.second.chain), &err), 1);
	assert_ok(trust_facts_read(chain, buf_str(&bundle), &foreign, &err), err);
	assert_string_equal(foreign.chain_anchor, "");
	assert_int_equal(bundle_add(&bundle, buf_str(&pair.first.chain), &err), 1);
	assert_ok(trust_facts_read(chain, buf_str(&bundle), &both, &err), err);
	assert_string_equal(both.chain_anchor, alone.chain_anchor);
	assert_true(trust_facts_believe(&both, alone.chain_anchor));
	assert_false(trust_facts_believe(&foreign, alone.chain_anchor));
	assert_true(trust_facts_equal(&both, &both));
	assert_false(trust_facts_equal(&both, &alone));
	pair_deinit(&pair);
}

static void a_directory_is_made_to_believe_more_and_never_to_distrust_itself(void **state) {
	(void)state;
	struct pair pair;
	struct err err = { 0 };
	pair_init(&pair);
	struct str second = buf_str(&pair.second.chain);
	const char *leaf = folder_path(&pair.folder, "leaf");
	assert_int_equal(bundle_install(leaf, second, true, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "descends from none of these anchors"));
	assert_int_equal(bundle_install(leaf, second, false, &err), 1);
	assert_int_equal(bundle_install(leaf, second, false, &err), 0);
	assert_int_equal(bundle_install(leaf, buf_str(&pair.first.chain), true, &err), 1);
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	assert_ok(credentials_load(leaf, &credentials, &err), err);
	struct trust_facts facts;
	assert_ok(trust_facts_read(
			  buf_str(&credentials.chain), buf_str(&credentials.anchors), &facts, &err),
		err);
	assert_int_equal(facts.anchor_count, 1);
	assert_string_equal(facts.chain_anchor, facts.anchors[0]);
	pair_deinit(&pair);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(an_anchor_is_added_once),
		TEST(a_bundle_without_a_newline_at_its_end_is_added_to),
		TEST(what_is_no_anchor_is_refused),
		TEST(a_bundle_has_an_end),
		TEST(the_anchor_of_a_chain_is_found),
		TEST(a_directory_is_made_to_believe_more_and_never_to_distrust_itself),
	};
	return TEST_RUN(tests);
}
