#include "demo/state_folder.h"

#include "base/test.h"
#include "demo/test_folder.h"

#include <sys/stat.h>

static void is_made_locked_and_removed(void **state) {
	(void)state;
	char folder[64];
	struct err err = { 0 };
	struct stat info;
	struct state_folder first;
	struct state_folder second;
	AUTO(buf_deinit) struct buf path = { 0 };

	test_folder_make(folder);
	const char *name = test_folder_path(&path, folder, "a/demo");
	assert_ok(state_folder_open(name, &first, &err), err);
	assert_int_equal(stat(name, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);

	assert_int_equal(state_folder_open(name, &second, &err), ERR_IO);
	assert_non_null(strstr(err.text, "a demo runs on"));
	state_folder_close(&second);
	assert_int_equal(state_folder_remove(name, &err), ERR_IO);
	assert_true(path_exists(name));

	state_folder_close(&first);
	assert_ok(state_folder_open(name, &first, &err), err);
	state_folder_close(&first);
	assert_ok(state_folder_remove(name, &err), err);
	assert_false(path_exists(name));
	assert_ok(state_folder_remove(name, &err), err);
	test_folder_remove(folder);
}

static void never_touches_what_is_not_a_demos(void **state) {
	(void)state;
	char folder[64];
	struct err err = { 0 };
	struct state_folder opened;
	AUTO(buf_deinit) struct buf path = { 0 };

	test_folder_make(folder);
	assert_ok(file_write_atomic(
			  test_folder_path(&path, folder, "letter"), STR("dear"), 0600, &err),
		err);
	assert_int_equal(state_folder_open(folder, &opened, &err), ERR_INVAL);
	assert_non_null(strstr(err.text, "choose another folder"));
	state_folder_close(&opened);
	assert_int_equal(state_folder_remove(folder, &err), ERR_INVAL);
	assert_true(path_exists(buf_text(&path)));
	test_folder_remove(folder);
}

static void refuses_a_path_too_long_for_its_socket(void **state) {
	(void)state;
	struct err err = { 0 };
	struct state_folder opened;
	assert_int_equal(state_folder_open("/tmp/"
					   "0123456789012345678901234567890123456789012345678901"
					   "0123456789012345678901234567890123456789012345678901",
				 &opened, &err),
		ERR_INVAL);
	assert_non_null(strstr(err.text, "too long"));
	state_folder_close(&opened);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(is_made_locked_and_removed),
		TEST(never_touches_what_is_not_a_demos),
		TEST(refuses_a_path_too_long_for_its_socket),
	};
	return TEST_RUN(tests);
}
