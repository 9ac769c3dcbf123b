#include "trust/keeper.h"

#include "trust/bundle.h"
#include "trust/certificate.h"
#include "trust/test_folder.h"

static void read_first(void *context, struct str der) {
	struct certificate_info *info = context;
	if (info->digest[0] == '\0') {
		assert_int_equal(certificate_read(der, info, NULL), 0);
	}
}

static struct certificate_info read_leaf(const struct folder *folder) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct certificate_info info = { 0 };
	struct err err = { 0 };
	assert_ok(file_read(folder_path(folder, "leaf/tls.crt"), 1 << 20, &text, &err), err);
	assert_ok(certificates_walk(buf_str(&text), read_first, &info, &err), err);
	return info;
}

static struct keeper *start(struct folder *folder, int64_t lifetime_ms) {
	struct keeper *keeper = NULL;
	struct err err = { 0 };
	char issuer[256];
	(void)snprintf(issuer, sizeof(issuer), "%s", folder_path(folder, "issuer"));
	const char *const leaves[] = { folder_path(folder, "leaf") };
	assert_ok(keeper_start(folder->loop,
			  &(struct keeper_options){ .issuer_directory = issuer,
				  .leaf_directories = leaves,
				  .leaf_count = 1,
				  .lifetime_ms = lifetime_ms },
			  &keeper, &err),
		err);
	return keeper;
}

static void a_leaf_is_renewed_at_two_thirds_of_its_life(void **state) {
	(void)state;
	struct folder folder;
	folder_init(&folder);
	struct certificate_info first = read_leaf(&folder);
	struct keeper *keeper = start(&folder, 0);
	folder_pass(&folder, 14 * FOLDER_HOUR_MS);
	assert_string_equal(read_leaf(&folder).digest, first.digest);
	folder_pass(&folder, 2 * FOLDER_HOUR_MS + 60 * MS_PER_S);
	struct certificate_info second = read_leaf(&folder);
	assert_string_not_equal(second.digest, first.digest);
	assert_string_equal(second.name, FOLDER_IDENTITY);
	assert_int_equal(second.not_after_ms, clock_now_ms(&folder.clock) + LEAF_LIFETIME_MS);
	keeper_stop(keeper);
	folder_deinit(&folder);
}

static void an_expired_leaf_is_renewed_at_once(void **state) {
	(void)state;
	struct folder folder;
	folder_init(&folder);
	clock_advance_ms(&folder.clock, 100 * FOLDER_HOUR_MS);
	struct keeper *keeper = start(&folder, 0);
	assert_true(read_leaf(&folder).not_after_ms > clock_now_ms(&folder.clock));
	keeper_stop(keeper);
	folder_deinit(&folder);
}

static void a_renewal_that_fails_is_tried_again_soon(void **state) {
	(void)state;
	struct folder folder;
	struct err err = { 0 };
	folder_init(&folder);
	struct certificate_info first = read_leaf(&folder);
	struct keeper *keeper = start(&folder, 0);
	assert_ok(dir_remove_tree(folder_path(&folder, "issuer"), &err), err);
	folder_pass(&folder, 17 * FOLDER_HOUR_MS);
	assert_string_equal(read_leaf(&folder).digest, first.digest);
	assert_ok(authority_save(folder.issuer, folder_path(&folder, "issuer"), &err), err);
	folder_pass(&folder, 61 * MS_PER_S);
	assert_string_not_equal(read_leaf(&folder).digest, first.digest);
	keeper_stop(keeper);
	folder_deinit(&folder);
}

static void short_lives_are_kept_too(void **state) {
	(void)state;
	struct folder folder;
	folder_init(&folder);
	folder_sign(&folder, "leaf", 30 * MS_PER_S);
	struct keeper *keeper = start(&folder, 30 * MS_PER_S);
	unsigned renewals = 0;
	for (int i = 0; i < 100; i++) {
		struct certificate_info before = read_leaf(&folder);
		folder_pass(&folder, MS_PER_S);
		struct certificate_info after = read_leaf(&folder);
		assert_true(after.not_after_ms > clock_now_ms(&folder.clock));
		renewals += strcmp(before.digest, after.digest) != 0 ? 1 : 0;
	}
	assert_true(renewals >= 4 && renewals <= 7);
	keeper_stop(keeper);
	folder_deinit(&folder);
}

/* A watch would see it too, but not on a clock of the test's own. */
static void leaves_follow_a_new_issuer_at_once(void **state) {
	(void)state;
	struct folder folder;
	struct authority *successor = NULL;
	struct err err = { 0 };
	folder_init(&folder);
	struct keeper *keeper = start(&folder, 0);
	struct certificate_info first = read_leaf(&folder);
	assert_ok(authority_new_successor(folder.anchor, folder_path(&folder, "issuer"), 0,
			  &folder.clock, &successor, &err),
		err);
	assert_ok(authority_save(successor, folder_path(&folder, "issuer"), &err), err);
	folder_pass(&folder, 61 * MS_PER_S);
	struct certificate_info second = read_leaf(&folder);
	assert_string_not_equal(second.digest, first.digest);
	folder_pass(&folder, 61 * MS_PER_S);
	assert_string_equal(read_leaf(&folder).digest, second.digest);
	keeper_stop(keeper);
	authority_free(successor);
	folder_deinit(&folder);
}

static void leaves_follow_their_issuers_anchors(void **state) {
	(void)state;
	struct folder folder;
	struct authority *other = NULL;
	AUTO(credentials_deinit) struct credentials anchor = { 0 };
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	struct trust_facts facts;
	struct err err = { 0 };
	folder_init(&folder);
	struct keeper *keeper = start(&folder, 0);
	assert_ok(authority_new_anchor(STR("mesh"), 0, &folder.clock, &other, &err), err);
	assert_ok(authority_save(other, folder_path(&folder, "other"), &err), err);
	assert_ok(credentials_load(folder_path(&folder, "other"), &anchor, &err), err);
	assert_int_equal(
		bundle_install(folder_path(&folder, "issuer"), buf_str(&anchor.chain), false, &err),
		1);
	folder_pass(&folder, 61 * MS_PER_S);
	assert_ok(credentials_load(folder_path(&folder, "leaf"), &leaf, &err), err);
	assert_ok(
		trust_facts_read(buf_str(&leaf.chain), buf_str(&leaf.anchors), &facts, &err), err);
	assert_int_equal(facts.anchor_count, 2);
	keeper_stop(keeper);
	authority_free(other);
	folder_deinit(&folder);
}

/* Also before anything is due. */
static void another_clusters_leaf_is_refused(void **state) {
	(void)state;
	struct folder folder;
	struct authority *east = NULL;
	struct keeper *keeper = NULL;
	struct err err = { 0 };
	folder_init(&folder);
	assert_ok(authority_new_issuer(folder.anchor, STR("east"), 0, &folder.clock, &east, &err),
		err);
	assert_ok(authority_save(east, folder_path(&folder, "east"), &err), err);
	char issuer[256];
	(void)snprintf(issuer, sizeof(issuer), "%s", folder_path(&folder, "east"));
	const char *const leaves[] = { folder_path(&folder, "leaf") };
	const struct keeper_options options = {
		.issuer_directory = issuer, .leaf_directories = leaves, .leaf_count = 1
	};
	assert_int_equal(keeper_start(folder.loop, &options, &keeper, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "is for east.mesh and cannot renew " FOLDER_IDENTITY));
	const struct keeper_options too_long = { .issuer_directory = issuer,
		.leaf_directories = leaves,
		.leaf_count = 1,
		.lifetime_ms = LEAF_LIFETIME_MS + 1 };
	assert_int_equal(keeper_start(folder.loop, &too_long, &keeper, &err), ERR_INVAL);
	authority_free(east);
	folder_deinit(&folder);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_leaf_is_renewed_at_two_thirds_of_its_life),
		TEST(an_expired_leaf_is_renewed_at_once),
		TEST(a_renewal_that_fails_is_tried_again_soon),
		TEST(short_lives_are_kept_too),
		TEST(leaves_follow_a_new_issuer_at_once),
		TEST(leaves_follow_their_issuers_anchors),
		TEST(another_clusters_leaf_is_refused),
	};
	return TEST_RUN(tests);
}
