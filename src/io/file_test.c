#include "io/file.h"

#include "base/test.h"
#include "io/test_folder.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void reads_what_was_written_with_the_mode_asked_for(void **state) {
	(void)state;
	char folder[64];
	struct err err = { 0 };
	struct stat info;
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };

	test_folder_make(folder);
	(void)test_folder_path(&path, folder, "key");
	assert_ok(file_write_atomic(buf_text(&path), STR("first"), 0600, &err), err);
	assert_ok(file_write_atomic(buf_text(&path), STR("second"), 0600, &err), err);
	assert_ok(file_read(buf_text(&path), 6, &text, &err), err);
	assert_str_equal(buf_str(&text), STR("second"));
	assert_int_equal(stat(buf_text(&path), &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	struct dir_list list;
	assert_ok(dir_list(folder, &list, &err), err);
	assert_int_equal(list.count, 1);
	dir_list_free(&list);
	test_folder_remove(folder);
}

static void refuses_a_file_past_its_limit(void **state) {
	(void)state;
	char folder[64];
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };

	test_folder_make(folder);
	(void)test_folder_path(&path, folder, "long");
	assert_ok(file_write_atomic(buf_text(&path), STR("123456"), 0644, &err), err);
	buf_add_text(&text, "kept");
	assert_int_equal(file_read(buf_text(&path), 5, &text, &err), ERR_LIMIT);
	assert_str_equal(buf_str(&text), STR("kept"));
	assert_ok(file_read(buf_text(&path), 6, &text, &err), err);
	assert_str_equal(buf_str(&text), STR("kept123456"));
	test_folder_remove(folder);
}

static void says_what_could_not_be_read_or_written(void **state) {
	(void)state;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };

	assert_int_equal(file_read("/nonexistent/file", 10, &text, &err), ERR_IO);
	assert_non_null(strstr(err.text, "/nonexistent/file"));
	assert_non_null(strstr(err.text, "No such file or directory"));
	assert_int_equal(file_write_atomic("/nonexistent/file", STR("x"), 0600, &err), ERR_IO);
	assert_non_null(strstr(err.text, "/nonexistent/file"));
	assert_int_equal(dir_make("/dev/null/folder", 0755, &err), ERR_IO);
}

static void makes_lists_and_removes_trees_without_following_links(void **state) {
	(void)state;
	char folder[64];
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };

	test_folder_make(folder);
	assert_ok(dir_make(test_folder_path(&path, folder, "tree/b/c"), 0755, &err), err);
	assert_ok(dir_make(buf_text(&path), 0755, &err), err);
	(void)test_folder_path(&path, folder, "kept");
	assert_ok(file_write_atomic(buf_text(&path), STR("x"), 0644, &err), err);
	AUTO(buf_deinit) struct buf link = { 0 };
	assert_int_equal(symlink(folder, test_folder_path(&link, folder, "tree/a")), 0);

	struct dir_list list;
	(void)test_folder_path(&link, folder, "tree");
	assert_ok(dir_list(buf_text(&link), &list, &err), err);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.names[0], "a");
	assert_string_equal(list.names[1], "b");
	dir_list_free(&list);

	assert_ok(dir_remove_tree(buf_text(&link), &err), err);
	assert_false(path_exists(buf_text(&link)));
	assert_true(path_exists(buf_text(&path)));
	assert_ok(dir_remove_tree(buf_text(&link), &err), err);
	test_folder_remove(folder);
}

static void appends_truncates_and_maps(void **state) {
	(void)state;
	char folder[64];
	struct err err = { 0 };
	int fd = -1;
	uint64_t size = 0;
	struct mapping mapping;
	AUTO(buf_deinit) struct buf path = { 0 };

	test_folder_make(folder);
	(void)test_folder_path(&path, folder, "log");
	assert_ok(file_open_append(buf_text(&path), 0644, &fd, &err), err);
	assert_ok(file_map(buf_text(&path), &mapping, &err), err);
	assert_null(mapping.ptr);
	file_unmap(&mapping);
	assert_ok(file_write_all(fd, STR("hello world"), &err), err);
	assert_ok(file_truncate(fd, 5, &err), err);
	assert_ok(file_write_all(fd, STR("!"), &err), err);
	assert_ok(file_sync(fd, &err), err);
	assert_ok(file_size(fd, &size, &err), err);
	assert_int_equal(size, 6);
	file_close(fd);
	assert_ok(file_map(buf_text(&path), &mapping, &err), err);
	assert_int_equal(mapping.size, 6);
	assert_memory_equal(mapping.ptr, "hello!", 6);
	file_unmap(&mapping);
	test_folder_remove(folder);
}

static void reads_the_end_of_a_file(void **state) {
	(void)state;
	char folder[64];
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };

	test_folder_make(folder);
	(void)test_folder_path(&path, folder, "log");
	assert_ok(file_write_atomic(buf_text(&path), STR("0123456789"), 0644, &err), err);
	assert_ok(file_read_tail(buf_text(&path), 4, &text, &err), err);
	assert_str_equal(buf_str(&text), STR("6789"));
	assert_ok(file_read_tail(buf_text(&path), 100, &text, &err), err);
	assert_str_equal(buf_str(&text), STR("67890123456789"));
	assert_int_equal(file_read_tail("/nonexistent", 4, &text, &err), ERR_IO);
	test_folder_remove(folder);
}

static void names_the_process_that_holds_a_lock(void **state) {
	(void)state;
	char folder[64];
	char pid[32];
	struct err err = { 0 };
	int first = -1;
	int second = -1;
	AUTO(buf_deinit) struct buf path = { 0 };

	test_folder_make(folder);
	(void)test_folder_path(&path, folder, "lock");
	assert_ok(file_lock(buf_text(&path), &first, &err), err);
	assert_int_equal(file_lock(buf_text(&path), &second, &err), ERR_IO);
	(void)snprintf(pid, sizeof(pid), "locked by process %ld", (long)getpid());
	assert_non_null(strstr(err.text, pid));
	file_close(first);
	assert_ok(file_lock(buf_text(&path), &second, &err), err);
	file_close(second);
	test_folder_remove(folder);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(reads_what_was_written_with_the_mode_asked_for),
		TEST(refuses_a_file_past_its_limit),
		TEST(says_what_could_not_be_read_or_written),
		TEST(makes_lists_and_removes_trees_without_following_links),
		TEST(appends_truncates_and_maps),
		TEST(reads_the_end_of_a_file),
		TEST(names_the_process_that_holds_a_lock),
	};
	return TEST_RUN(tests);
}
