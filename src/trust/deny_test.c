#include "trust/deny.h"

#include "trust/test_folder.h"

#define OTHER "hub.atoll.serviceaccount.identity.linkerd.west.mesh"
#define EAST "gateway.atoll.serviceaccount.identity.linkerd.east.mesh"
#define SERIAL "4F00AA"
#define DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* A set, and what may be put into it. */
struct world {
	struct folder folder;
	struct credentials anchor;
	struct deny_set *set;
};

static void world_init(struct world *world) {
	struct err err = { 0 };
	*world = (struct world){ 0 };
	folder_init(&world->folder);
	log_set_level(LOG_ERROR + 1);
	const char *path = folder_path(&world->folder, "anchor");
	assert_ok(authority_save(world->folder.anchor, path, &err), err);
	assert_ok(credentials_load(path, &world->anchor, &err), err);
	world->set = deny_set_new(folder_path(&world->folder, "denied"), &world->folder.clock);
	deny_set_use_anchors(world->set, buf_str(&world->anchor.chain));
}

static void world_deinit(struct world *world) {
	deny_set_free(world->set);
	credentials_deinit(&world->anchor);
	folder_deinit(&world->folder);
}

static void make(const struct authority *signer, int64_t number, enum deny_kind kind,
	const char *value, struct buf *out) {
	const struct deny_entry entry = { kind, str_of(value) };
	deny_list_format(signer, number, &entry, 1, out);
}

static int merge(struct world *world, const struct buf *list, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_printf(&text, "atoll-deny-lists 1\nlist %zu\n", list->len);
	buf_add_str(&text, buf_str(list));
	return deny_set_merge(world->set, buf_str(&text), err);
}

static int merge_made(struct world *world, const struct authority *signer, int64_t number,
	enum deny_kind kind, const char *value, struct err *err) {
	AUTO(buf_deinit) struct buf list = { 0 };
	make(signer, number, kind, value, &list);
	return merge(world, &list, err);
}

static bool denies(struct world *world, const char *identity, const char *serial) {
	struct err err = { 0 };
	return deny_set_denies(world->set, identity, serial, DIGEST, &err);
}

static void an_issuer_denies_its_own(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	world_init(&world);
	assert_false(denies(&world, FOLDER_IDENTITY, SERIAL));
	assert_int_equal(
		merge_made(&world, world.folder.issuer, 1, DENY_IDENTITY, FOLDER_IDENTITY, &err),
		1);
	assert_true(denies(&world, FOLDER_IDENTITY, SERIAL));
	assert_false(denies(&world, OTHER, SERIAL));
	assert_int_equal(merge_made(&world, world.folder.issuer, 2, DENY_SERIAL, SERIAL, &err), 1);
	assert_true(denies(&world, OTHER, SERIAL));
	assert_false(denies(&world, OTHER, "4F"));
	/* The same number of another cluster's issuer is another certificate. */
	assert_false(denies(&world, EAST, SERIAL));
	/* A newer list replaces the older. */
	assert_false(denies(&world, FOLDER_IDENTITY, "4F"));
	world_deinit(&world);
}

static void an_anchor_denies_anybody_and_issuers(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	world_init(&world);
	assert_int_equal(merge_made(&world, world.folder.anchor, 1, DENY_IDENTITY, EAST, &err), 1);
	assert_true(denies(&world, EAST, SERIAL));
	assert_int_equal(merge_made(&world, world.folder.anchor, 2, DENY_ISSUER, DIGEST, &err), 1);
	assert_true(denies(&world, OTHER, SERIAL));
	world_deinit(&world);
}

static void what_is_not_ones_own_is_not_denied(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	static const struct {
		enum deny_kind kind;
		const char *value;
		bool is_by_anchor;
	} cases[] = {
		{ DENY_IDENTITY, EAST, false },
		{ DENY_IDENTITY, "west.mesh", false },
		{ DENY_IDENTITY, "gateway.atoll.serviceaccount.identity.linkerd.west.other", true },
		{ DENY_IDENTITY, "gateway.atoll.serviceaccount.identity.linkerd.eastmesh", true },
		{ DENY_SERIAL, SERIAL, true },
		{ DENY_SERIAL, "4f00aa", false },
		{ DENY_SERIAL, "4F0", false },
		{ DENY_SERIAL, "", false },
		{ DENY_SERIAL, "4F 0A", false },
		{ DENY_ISSUER, DIGEST, false },
		{ DENY_ISSUER, "aa", true },
	};
	world_init(&world);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		const struct authority *signer =
			cases[i].is_by_anchor ? world.folder.anchor : world.folder.issuer;
		int rc = merge_made(
			&world, signer, (int64_t)i + 1, cases[i].kind, cases[i].value, &err);
		if (rc != ERR_DENIED) {
			fail_msg("%s: %d", cases[i].value, rc);
		}
	}
	assert_int_equal(deny_set_digest(world.set), 0);
	world_deinit(&world);
}

static void a_list_that_was_changed_is_refused(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf list = { 0 };
	world_init(&world);
	make(world.folder.issuer, 1, DENY_IDENTITY, FOLDER_IDENTITY, &list);
	for (size_t i = 0; i < list.len; i += 7) {
		char was = list.ptr[i];
		list.ptr[i] ^= 1;
		assert_true(merge(&world, &list, &err) < 0 || denies(&world, FOLDER_IDENTITY, ""));
		list.ptr[i] = was;
		if (denies(&world, FOLDER_IDENTITY, "")) {
			/* Only in the certificate's text, where bits may not matter. */
			assert_true(i > str_find(buf_str(&list), '-'));
			break;
		}
	}
	for (size_t len = 0; len < list.len - 1; len += 11) {
		AUTO(buf_deinit) struct buf part = { 0 };
		struct deny_list parsed;
		buf_add_str(&part, str_first(buf_str(&list), len));
		if (deny_list_parse(buf_str(&part), buf_str(&world.anchor.chain), &parsed, &err) ==
			0) {
			fail_msg("%zu bytes of it are taken for a list", len);
		}
	}
	world_deinit(&world);
}

static void strangers_deny_nobody(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	struct authority *stranger = NULL;
	struct authority *issuer = NULL;
	world_init(&world);
	assert_ok(authority_new_anchor(STR("mesh"), 0, &world.folder.clock, &stranger, &err), err);
	assert_ok(
		authority_new_issuer(stranger, STR("west"), 0, &world.folder.clock, &issuer, &err),
		err);
	assert_int_equal(
		merge_made(&world, issuer, 1, DENY_IDENTITY, FOLDER_IDENTITY, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "its signer descends from no anchor believed here"));
	assert_int_equal(
		merge_made(&world, stranger, 1, DENY_IDENTITY, FOLDER_IDENTITY, &err), ERR_DENIED);
	authority_free(issuer);
	authority_free(stranger);
	world_deinit(&world);
}

static void an_older_list_does_not_come_back(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	world_init(&world);
	assert_int_equal(
		merge_made(&world, world.folder.issuer, 5, DENY_IDENTITY, FOLDER_IDENTITY, &err),
		1);
	assert_int_equal(merge_made(&world, world.folder.issuer, 5, DENY_IDENTITY, OTHER, &err), 0);
	assert_int_equal(merge_made(&world, world.folder.issuer, 4, DENY_IDENTITY, OTHER, &err), 0);
	assert_true(denies(&world, FOLDER_IDENTITY, SERIAL));
	assert_int_equal(merge_made(&world, world.folder.issuer,
				 FOLDER_NOW_MS + 25 * FOLDER_HOUR_MS, DENY_IDENTITY, OTHER, &err),
		ERR_DENIED);
	assert_non_null(strstr(err.text, "number is of the future"));
	world_deinit(&world);
}

static void what_a_denied_issuer_says_does_not_count(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	world_init(&world);
	assert_int_equal(
		merge_made(&world, world.folder.issuer, 1, DENY_IDENTITY, FOLDER_IDENTITY, &err),
		1);
	assert_true(denies(&world, FOLDER_IDENTITY, SERIAL));
	AUTO(buf_deinit) struct buf list = { 0 };
	struct deny_list parsed;
	make(world.folder.issuer, 1, DENY_IDENTITY, FOLDER_IDENTITY, &list);
	assert_ok(
		deny_list_parse(buf_str(&list), buf_str(&world.anchor.chain), &parsed, &err), err);
	assert_int_equal(
		merge_made(&world, world.folder.anchor, 1, DENY_ISSUER, parsed.signer, &err), 1);
	assert_false(denies(&world, FOLDER_IDENTITY, SERIAL));
	deny_list_deinit(&parsed);
	/* Nor what an anchor says that is not believed any more. */
	assert_int_equal(merge_made(&world, world.folder.anchor, 2, DENY_IDENTITY, EAST, &err), 1);
	assert_true(denies(&world, EAST, SERIAL));
	deny_set_use_anchors(world.set, STR_EMPTY);
	assert_false(denies(&world, EAST, SERIAL));
	world_deinit(&world);
}

static void lists_are_handed_on_and_kept(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf all = { 0 };
	world_init(&world);
	assert_int_equal(
		merge_made(&world, world.folder.issuer, 1, DENY_IDENTITY, FOLDER_IDENTITY, &err),
		1);
	assert_int_equal(merge_made(&world, world.folder.anchor, 1, DENY_IDENTITY, EAST, &err), 1);
	deny_set_write(world.set, &all);
	struct deny_set *other =
		deny_set_new(folder_path(&world.folder, "other"), &world.folder.clock);
	deny_set_use_anchors(other, buf_str(&world.anchor.chain));
	assert_int_equal(deny_set_merge(other, buf_str(&all), &err), 1);
	assert_int_equal(deny_set_merge(other, buf_str(&all), &err), 0);
	assert_true(deny_set_digest(other) == deny_set_digest(world.set));
	deny_set_free(other);

	other = deny_set_new(folder_path(&world.folder, "other"), &world.folder.clock);
	deny_set_use_anchors(other, buf_str(&world.anchor.chain));
	assert_int_equal(deny_set_load(other), 1);
	assert_int_equal(deny_set_load(other), 0);
	assert_true(deny_set_digest(other) == deny_set_digest(world.set));
	assert_true(deny_set_denies(other, EAST, SERIAL, DIGEST, &err));
	assert_int_equal(deny_set_merge(other, STR("what"), &err), ERR_CORRUPT);
	assert_int_equal(
		deny_set_merge(other, STR("atoll-deny-lists 1\nlist 9\nx"), &err), ERR_CORRUPT);
	deny_set_free(other);
	world_deinit(&world);
}

static void who_is_denied_is_told_why(void **state) {
	(void)state;
	struct world world;
	struct err err = { 0 };
	world_init(&world);
	assert_int_equal(
		merge_made(&world, world.folder.issuer, 1, DENY_IDENTITY, FOLDER_IDENTITY, &err),
		1);
	assert_true(deny_set_denies(world.set, FOLDER_IDENTITY, SERIAL, DIGEST, &err));
	assert_string_equal(err.text,
		"certificate of " FOLDER_IDENTITY " is revoked: its identity is on a deny-list");
	world_deinit(&world);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(an_issuer_denies_its_own),
		TEST(an_anchor_denies_anybody_and_issuers),
		TEST(what_is_not_ones_own_is_not_denied),
		TEST(a_list_that_was_changed_is_refused),
		TEST(strangers_deny_nobody),
		TEST(an_older_list_does_not_come_back),
		TEST(what_a_denied_issuer_says_does_not_count),
		TEST(lists_are_handed_on_and_kept),
		TEST(who_is_denied_is_told_why),
	};
	return TEST_RUN(tests);
}
