#include "demo/group.h"

#include "base/test.h"
#include "demo/test_folder.h"
#include "trust/identity.h"
#include "trust/verify.h"

#include <signal.h>
#include <sys/stat.h>

#define PATIENCE_NS (INT64_C(60) * NS_PER_S)

struct scene {
	char folder[64];
	struct group_context shared;
	int changes;
	struct buf path;
};

static void changed(void *context, struct part *part) {
	struct scene *scene = context;
	assert_true(part->state == PART_READY || part->state == PART_ENDED);
	scene->changes++;
}

static void scene_init(struct scene *scene) {
	struct err err = { 0 };
	struct loop *loop = loop_new(clock_system());
	*scene = (struct scene){ 0 };
	test_folder_make(scene->folder);
	scene->shared = (struct group_context){
		.loop = loop,
		.fetcher = fetcher_new(loop),
		.folder = scene->folder,
		.program = "/bin/false",
		.first_port = 20000,
		.changed = changed,
		.context = scene,
	};
	assert_ok(group_make_anchor(scene->folder, &err), err);
}

static void scene_deinit(struct scene *scene) {
	fetcher_free(scene->shared.fetcher);
	loop_free(scene->shared.loop);
	test_folder_remove(scene->folder);
	buf_deinit(&scene->path);
}

static bool exists(struct scene *scene, const char *name) {
	return path_exists(test_folder_path(&scene->path, scene->folder, name));
}

static void makes_a_clusters_files_and_removes_them(void **state) {
	(void)state;
	struct scene scene;
	struct group *hub = NULL;
	struct group *group = NULL;
	struct err err = { 0 };
	struct stat info;
	scene_init(&scene);
	assert_ok(group_new(&scene.shared, GROUP_NAME_HUB, 0, false, &hub, &err), err);
	assert_ok(group_new(&scene.shared, "lisbon", 3, false, &group, &err), err);

	assert_true(exists(&scene, "clusters/lisbon/prometheus.yaml"));
	assert_true(exists(&scene, "clusters/lisbon/gateway.yaml"));
	assert_true(exists(&scene, "clusters/lisbon/tls/tls.crt"));
	assert_true(exists(&scene, "clusters/lisbon/issuer/tls.key"));
	assert_int_equal(stat(buf_text(&scene.path), &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_ok(group_link(group, &err), err);
	assert_true(exists(&scene, "hub/links/lisbon.yaml"));
	assert_ok(group_unlink(group, &err), err);
	assert_false(exists(&scene, "hub/links/lisbon.yaml"));
	assert_ok(group_unlink(group, &err), err);
	assert_ok(group_remove_files(group, &err), err);
	assert_false(exists(&scene, "clusters/lisbon"));

	group_free(group);
	group_free(hub);
	scene_deinit(&scene);
}

static void its_certificate_names_it_under_the_demos_anchor(void **state) {
	(void)state;
	struct scene scene;
	struct group *group = NULL;
	struct trust_identity *identity = NULL;
	struct err err = { 0 };
	scene_init(&scene);
	assert_ok(group_new(&scene.shared, "lisbon", 3, false, &group, &err), err);
	const struct trust_identity_options options = {
		.directory = test_folder_path(&scene.path, scene.folder, "clusters/lisbon/tls"),
	};
	assert_ok(trust_identity_open(scene.shared.loop, &options, &identity, &err), err);
	assert_string_equal(trust_identity_name(identity),
		"gateway.atoll.serviceaccount.identity.linkerd.lisbon.atoll.internal");
	trust_identity_close(identity);
	group_free(group);
	scene_deinit(&scene);
}

static void refuses_what_is_no_name(void **state) {
	(void)state;
	static const char *const names[] = { "", "Lisbon", "a.b", "../up", "-x", "a b" };
	struct scene scene;
	scene_init(&scene);
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		struct group *group = NULL;
		struct err err = { 0 };
		assert_int_equal(
			group_new(&scene.shared, names[i], 0, false, &group, &err), ERR_INVAL);
		assert_null(group);
	}
	scene_deinit(&scene);
}

static void keeps_samples_but_no_old_certificates(void **state) {
	(void)state;
	struct scene scene;
	struct group *group = NULL;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf before = { 0 };
	AUTO(buf_deinit) struct buf after = { 0 };
	scene_init(&scene);
	for (int run = 0; run < 2; run++) {
		assert_ok(group_new(&scene.shared, "madrid", 2, true, &group, &err), err);
		(void)test_folder_path(&scene.path, scene.folder, "clusters/madrid/issuer/tls.crt");
		assert_ok(
			file_read(buf_text(&scene.path), 65536, run ? &after : &before, &err), err);
		(void)test_folder_path(&scene.path, scene.folder, "clusters/madrid/data/sample");
		if (run == 0) {
			assert_ok(file_write_atomic(buf_text(&scene.path), STR("1"), 0600, &err),
				err);
		}
		group_free(group);
	}
	assert_true(path_exists(buf_text(&scene.path)));
	assert_false(str_equal(buf_str(&before), buf_str(&after)));
	scene_deinit(&scene);
}

static void run_until(struct scene *scene, int changes) {
	int64_t until = clock_mono_ns(clock_system()) + PATIENCE_NS;
	while (scene->changes < changes) {
		assert_true(clock_mono_ns(clock_system()) < until);
		loop_run_once(scene->shared.loop);
	}
}

/* A part that is a shell script. */
static void part_sh(struct scene *scene, struct part *part, const char *script) {
	const struct part_options options = {
		.loop = scene->shared.loop,
		.fetcher = scene->shared.fetcher,
		.changed = changed,
		.context = scene,
		.kind = PART_MONITOR,
		.program = "sh",
		.log_path = test_folder_path(&scene->path, scene->folder, "part.log"),
		.ready_port = 1,
	};
	part_init(part, &options);
	part_argument(part, "-c");
	part_argument(part, "%s", script);
}

static void a_part_that_ends_says_how_and_what_it_wrote(void **state) {
	(void)state;
	struct scene scene;
	struct part part;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	scene_init(&scene);
	part_sh(&scene, &part, "seq 100; exit 3");
	assert_ok(part_start(&part, &err), err);
	assert_true(part_is_running(&part));
	run_until(&scene, 1);
	assert_int_equal(part.state, PART_ENDED);
	assert_false(part.was_told);
	part_describe_end(&part, &text);
	assert_string_equal(buf_text(&text), "exit code 3");
	buf_reset(&text);
	part_log_tail(&part, &text);
	assert_ptr_equal(strstr(buf_text(&text), "  86\n  87\n"), buf_text(&text));
	assert_true(str_ends(buf_str(&text), STR("  99\n  100\n")));
	part_deinit(&part);
	scene_deinit(&scene);
}

static void a_part_is_stopped_and_started_again(void **state) {
	(void)state;
	struct scene scene;
	struct part part;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	scene_init(&scene);
	part_sh(&scene, &part, "sleep 1000");
	for (int round = 1; round <= 2; round++) {
		assert_ok(part_start(&part, &err), err);
		part_stop(&part);
		assert_int_equal(part.state, PART_STOPPING);
		run_until(&scene, round);
		assert_true(part.was_told);
		assert_int_equal(part.status, -SIGTERM);
	}
	part_describe_end(&part, &text);
	assert_string_equal(buf_text(&text), "killed by SIGTERM");
	part_deinit(&part);
	scene_deinit(&scene);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(makes_a_clusters_files_and_removes_them),
		TEST(its_certificate_names_it_under_the_demos_anchor),
		TEST(refuses_what_is_no_name),
		TEST(keeps_samples_but_no_old_certificates),
		TEST(a_part_that_ends_says_how_and_what_it_wrote),
		TEST(a_part_is_stopped_and_started_again),
	};
	return TEST_RUN(tests);
}
