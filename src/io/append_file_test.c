#include "io/append_file.h"

#include "base/test.h"
#include "io/file.h"

#include <signal.h>
#include <sys/resource.h>

static void what_is_written_can_be_read_at_once(void **state) {
	char dir[] = "/tmp/atoll-append-XXXXXX";
	char path[64];
	struct append_file file = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/f", dir);
	assert_ok(append_file_create(path, 1 << 20, 0600, &file, &err), err);
	for (int i = 0; i < 1000; i++) {
		assert_ok(append_file_write(&file, STR("0123456789"), &err), err);
		assert_memory_equal(file.ptr + file.size - 10, "0123456789", 10);
	}
	assert_ok(append_file_patch(&file, 5, STR("xy"), &err), err);
	assert_ok(append_file_sync(&file, &err), err);
	append_file_finish(&file);
	assert_memory_equal(file.ptr, "01234xy789", 10);
	assert_int_equal(file.size, 10000);
	append_file_close(&file);
	assert_int_equal(append_file_create(path, 1 << 20, 0600, &file, &err), ERR_IO);
	assert_ok(dir_remove_tree(dir, &err), err);
}

static void a_file_without_a_name_leaves_nothing(void **state) {
	char dir[] = "/tmp/atoll-append-XXXXXX";
	struct append_file file = { 0 };
	struct dir_list names = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_ok(append_file_create_unnamed(dir, 4096, &file, &err), err);
	assert_ok(append_file_write(&file, STR("abc"), &err), err);
	assert_memory_equal(file.ptr, "abc", 3);
	assert_ok(dir_list(dir, &names, &err), err);
	assert_int_equal(names.count, 0);
	dir_list_free(&names);
	append_file_close(&file);
	assert_ok(dir_remove_tree(dir, &err), err);
}

static void a_refused_write_leaves_the_file_as_it_was(void **state) {
	char dir[] = "/tmp/atoll-append-XXXXXX";
	struct append_file file = { 0 };
	struct rlimit before;
	struct rlimit small;
	struct err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_ok(append_file_create_unnamed(dir, 4096, &file, &err), err);
	assert_ok(append_file_write(&file, STR("abc"), &err), err);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 5, before.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(append_file_write(&file, STR("defgh"), &err), ERR_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(file.size, 3);
	assert_ok(append_file_write(&file, STR("DEF"), &err), err);
	assert_memory_equal(file.ptr, "abcDEF", 6);
	append_file_close(&file);
	assert_ok(dir_remove_tree(dir, &err), err);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_can_be_read_at_once),
		TEST(a_file_without_a_name_leaves_nothing),
		TEST(a_refused_write_leaves_the_file_as_it_was),
	};
	return TEST_RUN(tests);
}
