#include "io/watch.h"

#include "base/test.h"
#include "io/test_folder.h"
#include "io/test_pair.h"

struct observer {
	struct loop *loop;
	struct watch *watch;
	char folder[64];
	struct buf path;
	int calls;
};

static void changed(void *context) {
	struct observer *observer = context;
	observer->calls++;
}

/* Watches 'name' in the folder, or the folder itself, by inotify alone (the poll is hours away). */
static void observe(struct observer *observer, const char *name) {
	*observer = (struct observer){ .loop = loop_new(clock_system()) };
	test_folder_make(observer->folder);
	const char *path =
		name ? test_folder_path(&observer->path, observer->folder, name) : observer->folder;
	observer->watch = watch_start(observer->loop, path, 10000000, changed, observer);
}

static void observer_deinit(struct observer *observer) {
	watch_stop(observer->watch);
	loop_free(observer->loop);
	test_folder_remove(observer->folder);
	buf_deinit(&observer->path);
}

static void put(struct observer *observer, const char *name, const char *text) {
	struct err err = { 0 };
	(void)test_folder_path(&observer->path, observer->folder, name);
	assert_ok(file_write_atomic(buf_text(&observer->path), str_of(text), 0644, &err), err);
}

/* The change that was just made is told; then nothing more is on its way. */
static void expect_call(struct observer *observer) {
	int before = observer->calls;
	TEST_RUN_UNTIL(observer->loop, observer->calls > before);
}

static void tells_of_what_is_made_changed_renamed_and_removed(void **state) {
	(void)state;
	struct observer observer;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf other = { 0 };
	observe(&observer, NULL);

	put(&observer, "a", "one");
	expect_call(&observer);
	put(&observer, "a", "two");
	expect_call(&observer);
	(void)test_folder_path(&other, observer.folder, "b");
	assert_ok(file_rename(buf_text(&observer.path), buf_text(&other), &err), err);
	expect_call(&observer);
	assert_ok(file_remove(buf_text(&other), &err), err);
	expect_call(&observer);
	observer_deinit(&observer);
}

static void tells_of_a_file_written_in_place(void **state) {
	(void)state;
	struct observer observer;
	struct err err = { 0 };
	int fd = -1;
	observe(&observer, "file");

	put(&observer, "file", "one");
	expect_call(&observer);
	assert_ok(file_open_append(buf_text(&observer.path), 0644, &fd, &err), err);
	assert_ok(file_write_all(fd, STR("more"), &err), err);
	expect_call(&observer);
	file_close(fd);
	assert_ok(file_remove(buf_text(&observer.path), &err), err);
	expect_call(&observer);
	observer_deinit(&observer);
}

static void waits_for_a_folder_that_is_not_there_yet(void **state) {
	(void)state;
	struct observer observer;
	struct err err = { 0 };
	observe(&observer, "later");

	assert_ok(dir_make(buf_text(&observer.path), 0755, &err), err);
	expect_call(&observer);
	put(&observer, "later/file", "one");
	expect_call(&observer);
	observer_deinit(&observer);
}

static void does_not_tell_of_neighbours(void **state) {
	(void)state;
	struct observer observer;
	observe(&observer, "file");

	put(&observer, "neighbour", "one");
	put(&observer, "file", "one");
	expect_call(&observer);
	put(&observer, "neighbour", "two");
	put(&observer, "file", "two");
	expect_call(&observer);
	assert_int_equal(observer.calls, 2);
	observer_deinit(&observer);
}

static void finds_by_polling_what_nobody_told(void **state) {
	(void)state;
	struct clock clock;
	clock_init_manual(&clock, 0);
	struct observer observer = { .loop = loop_new(&clock) };
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	test_folder_make(observer.folder);
	/* Neither it nor the folder above is there, so that inotify has nothing to look at. */
	(void)test_folder_path(&path, observer.folder, "deep/folder");
	observer.watch = watch_start(observer.loop, buf_text(&path), 1000, changed, &observer);

	assert_ok(dir_make(buf_text(&path), 0755, &err), err);
	clock_advance_ms(&clock, 999);
	loop_run_once(observer.loop);
	assert_int_equal(observer.calls, 0);
	clock_advance_ms(&clock, 1);
	loop_run_once(observer.loop);
	assert_int_equal(observer.calls, 1);
	clock_advance_ms(&clock, 1000);
	loop_run_once(observer.loop);
	assert_int_equal(observer.calls, 1);
	observer_deinit(&observer);
}

static void stop_watching(void *context) {
	struct observer *observer = context;
	watch_stop(observer->watch);
	observer->watch = NULL;
	observer->calls++;
}

static void may_be_stopped_in_its_own_callback(void **state) {
	(void)state;
	struct observer observer = { .loop = loop_new(clock_system()) };
	test_folder_make(observer.folder);
	observer.watch =
		watch_start(observer.loop, observer.folder, 10000000, stop_watching, &observer);
	put(&observer, "a", "one");
	expect_call(&observer);
	observer_deinit(&observer);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(tells_of_what_is_made_changed_renamed_and_removed),
		TEST(tells_of_a_file_written_in_place),
		TEST(waits_for_a_folder_that_is_not_there_yet),
		TEST(does_not_tell_of_neighbours),
		TEST(finds_by_polling_what_nobody_told),
		TEST(may_be_stopped_in_its_own_callback),
	};
	return TEST_RUN(tests);
}
