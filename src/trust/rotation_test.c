#include "trust/rotation.h"

#include "trust/rotation_file.h"
#include "trust/test_folder.h"

/* A mesh of one hub and one cluster, "west", whose leaf a keeper keeps. */
struct mesh {
	struct folder folder;
	struct rotation rotation;
	struct trust_facts facts; /* What both say. */
	struct rotation_member members[2];
};

static const char *kept(struct mesh *mesh, const char *name) {
	return arena_copy(&mesh->rotation.arena, str_of(folder_path(&mesh->folder, name))).ptr;
}

static void read_facts(struct mesh *mesh, const char *name) {
	AUTO(credentials_deinit) struct credentials credentials = { 0 };
	struct err err = { 0 };
	assert_ok(credentials_load(folder_path(&mesh->folder, name), &credentials, &err), err);
	assert_ok(trust_facts_read(buf_str(&credentials.chain), buf_str(&credentials.anchors),
			  &mesh->facts, &err),
		err);
}

static struct rotation_options options_of(struct mesh *mesh) {
	return (struct rotation_options){
		.directory = kept(mesh, "new"),
		.old_directory = kept(mesh, "old"),
		.issuers = { { kept(mesh, "issuer") }, 1 },
		.hubs = { { "http://hub" }, 1 },
		.leaf_lifetime_ms = FOLDER_HOUR_MS,
	};
}

static void mesh_init(struct mesh *mesh) {
	struct err err = { 0 };
	*mesh = (struct mesh){ 0 };
	folder_init(&mesh->folder);
	assert_ok(
		authority_save(mesh->folder.anchor, folder_path(&mesh->folder, "old"), &err), err);
	mesh->members[0] =
		(struct rotation_member){ .name = STR("http://hub"), .facts = &mesh->facts };
	mesh->members[1] = (struct rotation_member){ .name = STR("west"), .facts = &mesh->facts };
	read_facts(mesh, "issuer");
}

static void mesh_begin(struct mesh *mesh) {
	struct err err = { 0 };
	struct rotation_options options = options_of(mesh);
	struct rotation rotation;
	assert_ok(rotation_begin(&options, &mesh->folder.clock, &rotation, &err), err);
	rotation_deinit(&mesh->rotation);
	mesh->rotation = rotation;
}

static void mesh_deinit(struct mesh *mesh) {
	rotation_deinit(&mesh->rotation);
	folder_deinit(&mesh->folder);
}

static int switch_issuers(struct mesh *mesh, struct err *err) {
	return rotation_switch(&mesh->rotation, mesh->members, 2, 0, &mesh->folder.clock, err);
}

static int retire(struct mesh *mesh, struct err *err) {
	return rotation_retire(&mesh->rotation, mesh->members, 2, &mesh->folder.clock, err);
}

static void an_anchor_is_replaced(void **state) {
	(void)state;
	struct mesh mesh;
	struct err err = { 0 };
	mesh_init(&mesh);
	mesh_begin(&mesh);
	assert_ok(rotation_publish(&mesh.rotation, &err), err);
	read_facts(&mesh, "issuer");
	assert_int_equal(mesh.facts.anchor_count, 2);
	assert_ok(switch_issuers(&mesh, &err), err);
	read_facts(&mesh, "issuer");
	assert_string_equal(mesh.facts.chain_anchor, mesh.rotation.new_anchor);
	assert_int_equal(mesh.facts.anchor_count, 2);
	clock_advance_ms(&mesh.folder.clock, FOLDER_HOUR_MS);
	assert_ok(retire(&mesh, &err), err);
	read_facts(&mesh, "issuer");
	assert_int_equal(mesh.facts.anchor_count, 1);
	AUTO(buf_deinit) struct buf why = { 0 };
	assert_true(rotation_member_is_ready(&mesh.rotation, &mesh.members[1], &why));
	mesh_deinit(&mesh);
}

static void steps_are_not_done_out_of_order(void **state) {
	(void)state;
	struct mesh mesh;
	struct err err = { 0 };
	mesh_init(&mesh);
	mesh_begin(&mesh);
	assert_int_equal(switch_issuers(&mesh, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "publish the new anchor first"));
	assert_int_equal(retire(&mesh, &err), ERR_DENIED);
	assert_ok(rotation_publish(&mesh.rotation, &err), err);
	assert_int_equal(retire(&mesh, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "issuers are to be switched first"));
	read_facts(&mesh, "issuer");
	assert_ok(switch_issuers(&mesh, &err), err);
	assert_int_equal(rotation_publish(&mesh.rotation, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "does not go back"));
	struct rotation_options options = options_of(&mesh);
	struct rotation another;
	assert_int_equal(rotation_begin(&options, &mesh.folder.clock, &another, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "has begun already"));
	mesh_deinit(&mesh);
}

static void issuers_are_not_switched_before_everybody_believes_both(void **state) {
	(void)state;
	struct mesh mesh;
	struct err err = { 0 };
	mesh_init(&mesh);
	mesh_begin(&mesh);
	assert_ok(rotation_publish(&mesh.rotation, &err), err);
	assert_int_equal(switch_issuers(&mesh, &err), ERR_DENIED);
	assert_string_equal(
		err.text, "not yet: http://hub: it does not believe the new anchor yet");
	struct trust_facts old = mesh.facts;
	read_facts(&mesh, "issuer");
	mesh.members[1].facts = &old;
	assert_int_equal(switch_issuers(&mesh, &err), ERR_DENIED);
	assert_string_equal(err.text, "not yet: west: it does not believe the new anchor yet");
	mesh.members[1] = (struct rotation_member){ STR("west"), STR("its link is not up"), NULL };
	assert_int_equal(switch_issuers(&mesh, &err), ERR_DENIED);
	assert_string_equal(err.text, "not yet: west: its link is not up");
	assert_int_equal(
		rotation_switch(&mesh.rotation, NULL, 0, 0, &mesh.folder.clock, &err), ERR_DENIED);
	read_facts(&mesh, "issuer");
	assert_string_equal(mesh.facts.chain_anchor, mesh.rotation.old_anchor);
	mesh_deinit(&mesh);
}

static void an_anchor_is_not_retired_while_leaves_of_it_may_live(void **state) {
	(void)state;
	struct mesh mesh;
	struct err err = { 0 };
	mesh_init(&mesh);
	mesh_begin(&mesh);
	assert_ok(rotation_publish(&mesh.rotation, &err), err);
	read_facts(&mesh, "issuer");
	struct trust_facts before = mesh.facts;
	assert_ok(switch_issuers(&mesh, &err), err);
	read_facts(&mesh, "issuer");
	clock_advance_ms(&mesh.folder.clock, FOLDER_HOUR_MS - 1);
	assert_int_equal(retire(&mesh, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "may be alive for another 1 s"));
	clock_advance_ms(&mesh.folder.clock, 1);
	mesh.members[1].facts = &before;
	assert_int_equal(retire(&mesh, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "west: its certificate does not descend from the new"));
	mesh.members[1].facts = &mesh.facts;
	assert_ok(retire(&mesh, &err), err);
	mesh_deinit(&mesh);
}

static void who_is_left_out_is_not_waited_for(void **state) {
	(void)state;
	struct mesh mesh;
	struct err err = { 0 };
	mesh_init(&mesh);
	mesh_begin(&mesh);
	assert_ok(rotation_publish(&mesh.rotation, &err), err);
	read_facts(&mesh, "issuer");
	mesh.members[1] = (struct rotation_member){ STR("west"), STR("gone"), NULL };
	assert_int_equal(switch_issuers(&mesh, &err), ERR_DENIED);
	assert_ok(rotation_leave_out(&mesh.rotation, "west", &err), err);
	assert_ok(rotation_leave_out(&mesh.rotation, "west", &err), err);
	assert_int_equal(mesh.rotation.left_out.count, 1);
	assert_ok(switch_issuers(&mesh, &err), err);
	mesh_deinit(&mesh);
}

/* What was begun is found again by another process, also when a step was cut off half way. */
static void a_rotation_goes_on_after_a_crash(void **state) {
	(void)state;
	struct mesh mesh;
	struct err err = { 0 };
	mesh_init(&mesh);
	mesh_begin(&mesh);
	assert_ok(rotation_publish(&mesh.rotation, &err), err);
	read_facts(&mesh, "issuer");
	assert_ok(switch_issuers(&mesh, &err), err);
	/* The issuers were switched, but that was not written down. */
	mesh.rotation.step = ROTATION_PUBLISHED;
	assert_ok(rotation_file_write(&mesh.rotation, &err), err);
	read_facts(&mesh, "issuer");
	rotation_deinit(&mesh.rotation);
	const char *directory = folder_path(&mesh.folder, "new");
	assert_ok(rotation_load(directory, &mesh.rotation, &err), err);
	assert_int_equal(mesh.rotation.step, ROTATION_PUBLISHED);
	assert_int_equal(mesh.rotation.issuers.count, 1);
	assert_string_equal(mesh.rotation.hubs.items[0], "http://hub");
	assert_ok(switch_issuers(&mesh, &err), err);
	assert_ok(switch_issuers(&mesh, &err), err);
	clock_advance_ms(&mesh.folder.clock, FOLDER_HOUR_MS);
	assert_ok(retire(&mesh, &err), err);
	rotation_deinit(&mesh.rotation);
	assert_ok(rotation_load(folder_path(&mesh.folder, "new"), &mesh.rotation, &err), err);
	assert_int_equal(mesh.rotation.step, ROTATION_RETIRED);
	mesh_deinit(&mesh);
}

/* An anchor that was made before the crash is not thrown away. */
static void a_beginning_that_was_cut_off_is_repeated(void **state) {
	(void)state;
	struct mesh mesh;
	struct err err = { 0 };
	mesh_init(&mesh);
	mesh_begin(&mesh);
	char first[ANCHOR_DIGEST_LEN + 1];
	memcpy(first, mesh.rotation.new_anchor, sizeof(first));
	assert_ok(file_remove(folder_path(&mesh.folder, "new/rotation"), &err), err);
	mesh_begin(&mesh);
	assert_string_equal(mesh.rotation.new_anchor, first);
	mesh_deinit(&mesh);
}

static void what_does_not_fit_together_is_not_begun(void **state) {
	(void)state;
	struct mesh mesh;
	struct rotation rotation;
	struct authority *elsewhere = NULL;
	struct err err = { 0 };
	mesh_init(&mesh);
	struct rotation_options options = options_of(&mesh);
	options.directory = options.old_directory;
	assert_int_equal(rotation_begin(&options, &mesh.folder.clock, &rotation, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "holds the old anchor itself"));

	assert_ok(authority_new_anchor(STR("mesh.other"), 0, &mesh.folder.clock, &elsewhere, &err),
		err);
	assert_ok(authority_save(elsewhere, folder_path(&mesh.folder, "elsewhere"), &err), err);
	options = options_of(&mesh);
	options.directory = kept(&mesh, "elsewhere");
	assert_int_equal(rotation_begin(&options, &mesh.folder.clock, &rotation, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "holds no anchor of mesh mesh"));

	options = options_of(&mesh);
	options.old_directory = kept(&mesh, "elsewhere");
	assert_int_equal(rotation_begin(&options, &mesh.folder.clock, &rotation, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "does not descend from the anchor"));
	assert_false(path_exists(folder_path(&mesh.folder, "new")));

	options = options_of(&mesh);
	options.hubs.count = 0;
	assert_int_equal(rotation_begin(&options, &mesh.folder.clock, &rotation, &err), ERR_INVAL);
	authority_free(elsewhere);
	mesh_deinit(&mesh);
}

#define DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEAD "atoll-rotation 1\n"
#define REST "old " DIGEST "\nnew " DIGEST "\nleaf_lifetime_ms 1\n"

static void a_file_that_is_damaged_is_refused(void **state) {
	(void)state;
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{ "", "line 1" },
		{ "atoll-rotation 2\nstep begun\n", "line 1" },
		{ HEAD "step gone\n" REST, "line 2" },
		{ HEAD "step begun\nold x\n", "line 3" },
		{ HEAD "step begun\nother x\n" REST, "line 3" },
		{ HEAD "step begun\nissuer \n" REST, "line 3" },
		{ HEAD "step begun\n\n" REST, "line 3" },
		{ HEAD "step begun\nswitched_ms soon\n" REST, "line 3" },
		{ HEAD REST, "missing" },
		{ HEAD "step begun\nold " DIGEST "\nnew " DIGEST "\n", "missing" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct rotation rotation;
		struct err err = { 0 };
		assert_int_equal(
			rotation_file_parse(str_of(cases[i].text), &rotation, &err), ERR_CORRUPT);
		if (!strstr(err.text, cases[i].reason)) {
			fail_msg("%s: %s", cases[i].text, err.text);
		}
	}
	struct rotation rotation;
	struct err err = { 0 };
	assert_ok(rotation_file_parse(STR(HEAD "step begun\n" REST), &rotation, &err), err);
	rotation_deinit(&rotation);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(an_anchor_is_replaced),
		TEST(steps_are_not_done_out_of_order),
		TEST(issuers_are_not_switched_before_everybody_believes_both),
		TEST(an_anchor_is_not_retired_while_leaves_of_it_may_live),
		TEST(who_is_left_out_is_not_waited_for),
		TEST(a_rotation_goes_on_after_a_crash),
		TEST(a_beginning_that_was_cut_off_is_repeated),
		TEST(what_does_not_fit_together_is_not_begun),
		TEST(a_file_that_is_damaged_is_refused),
	};
	return TEST_RUN(tests);
}
