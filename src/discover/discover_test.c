#include "discover/discover.h"

#include "base/test.h"
#include "io/file.h"

struct fixture {
	char folder[64];
	struct loop *loop;
	struct pool *pool;
	struct config *config;
	struct discovery *discovery;
	unsigned changes;
};

static void on_change(void *context) {
	struct fixture *fixture = context;
	fixture->changes++;
	loop_stop(fixture->loop);
}

static void write_file(struct fixture *fixture, const char *name, const char *text) {
	char path[128];
	struct err err = { 0 };
	(void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
	assert_ok(file_write_atomic(path, str_of(text), 0600, &err), err);
}

static void begin(struct fixture *fixture, const char *config) {
	char path[128];
	struct err err = { 0 };
	*fixture = (struct fixture){ .folder = "/tmp/atoll-discover-XXXXXX" };
	assert_non_null(mkdtemp(fixture->folder));
	fixture->loop = loop_new(clock_system());
	fixture->pool = pool_new("work", THREAD_QUERY, 1, 4);
	(void)snprintf(path, sizeof(path), "%s/prometheus.yml", fixture->folder);
	assert_ok(config_parse(str_of(config), path, &fixture->config, &err), err);
}

static void start(struct fixture *fixture) {
	fixture->discovery = discovery_start(fixture->loop, fixture->pool, fixture->config,
		&fixture->config->scrapes[0], NULL, on_change, fixture);
}

static void end(struct fixture *fixture) {
	struct err err = { 0 };
	if (fixture->discovery) {
		discovery_stop(fixture->discovery);
	}
	pool_free(fixture->pool);
	loop_run_once(fixture->loop);
	config_unref(fixture->config);
	loop_free(fixture->loop);
	assert_ok(dir_remove_tree(fixture->folder, &err), err);
}

static const char two_kinds[] = "scrape_configs:\n"
				"- job_name: a\n"
				"  static_configs: [{targets: ['s:1']}]\n"
				"  file_sd_configs: [{files: ['*.json'], refresh_interval: 1s}]\n";

/* The address of the last group, or "" when there are only static ones. */
static struct str last_address(const struct fixture *fixture) {
	const struct config_targets *const *groups = NULL;
	size_t count = discovery_groups(fixture->discovery, &groups);
	return count > 1 ? groups[count - 1]->addresses.items[0] : STR_EMPTY;
}

static void gives_static_and_file_targets_at_once(void **state) {
	(void)state;
	struct fixture fixture;
	const struct config_targets *const *groups = NULL;
	begin(&fixture, two_kinds);
	write_file(&fixture, "t.json", "[{\"targets\": [\"f:1\"]}]");
	write_file(&fixture, "t.txt", "not matched");
	start(&fixture);

	assert_int_equal(discovery_groups(fixture.discovery, &groups), 2);
	assert_str_equal(groups[0]->addresses.items[0], STR("s:1"));
	assert_str_equal(groups[1]->addresses.items[0], STR("f:1"));
	end(&fixture);
}

static void follows_files_that_come_change_and_go(void **state) {
	(void)state;
	struct fixture fixture;
	struct err err = { 0 };
	char path[128];
	begin(&fixture, two_kinds);
	start(&fixture);
	assert_str_equal(last_address(&fixture), STR_EMPTY);

	write_file(&fixture, "t.json", "[{\"targets\": [\"f:1\"]}]");
	loop_run(fixture.loop);
	assert_str_equal(last_address(&fixture), STR("f:1"));

	write_file(&fixture, "t.json", "[{\"targets\": [\"f:2\"]}]");
	loop_run(fixture.loop);
	assert_str_equal(last_address(&fixture), STR("f:2"));

	(void)snprintf(path, sizeof(path), "%s/t.json", fixture.folder);
	assert_ok(file_remove(path, &err), err);
	loop_run(fixture.loop);
	assert_str_equal(last_address(&fixture), STR_EMPTY);
	end(&fixture);
}

static void keeps_the_last_good_targets_of_a_broken_file(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture, two_kinds);
	write_file(&fixture, "t.json", "[{\"targets\": [\"f:1\"]}]");
	start(&fixture);
	write_file(&fixture, "t.json", "[{\"targets\": ");
	write_file(&fixture, "u.json", "[{\"targets\": [\"g:1\"]}]");
	loop_run(fixture.loop);

	const struct config_targets *const *groups = NULL;
	assert_int_equal(discovery_groups(fixture.discovery, &groups), 3);
	end(&fixture);
}

static void hold(void *context) {
	struct lock *gate = context;
	lock_take(gate);
	lock_drop(gate);
}

static void may_stop_while_files_are_read(void **state) {
	(void)state;
	struct fixture fixture;
	struct lock gate;
	begin(&fixture, two_kinds);
	lock_init(&gate, LOCK_RANK_SERVICE);
	start(&fixture);
	lock_take(&gate);
	assert_true(pool_submit(fixture.pool, hold, &gate));
	write_file(&fixture, "t.json", "[{\"targets\": [\"f:1\"]}]");
	while (pool_queued(fixture.pool) == 0) {
		loop_run_once(fixture.loop); /* Until the watch has sent the reading to the pool. */
	}
	discovery_stop(fixture.discovery);
	fixture.discovery = NULL;
	lock_drop(&gate);
	end(&fixture);
	lock_deinit(&gate);
	assert_int_equal(fixture.changes, 0);
}

static void reads_at_once_when_the_pool_is_absent(void **state) {
	(void)state;
	struct fixture fixture;
	begin(&fixture, two_kinds);
	pool_free(fixture.pool);
	fixture.pool = NULL;
	start(&fixture);
	write_file(&fixture, "t.json", "[{\"targets\": [\"f:1\"]}]");
	loop_run(fixture.loop);
	assert_str_equal(last_address(&fixture), STR("f:1"));
	end(&fixture);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(gives_static_and_file_targets_at_once),
		TEST(follows_files_that_come_change_and_go),
		TEST(keeps_the_last_good_targets_of_a_broken_file),
		TEST(may_stop_while_files_are_read),
		TEST(reads_at_once_when_the_pool_is_absent),
	};
	return TEST_RUN(tests);
}
