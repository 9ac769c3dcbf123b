#include "io/system.h"

#include "base/test.h"

#include <sys/stat.h>
#include <unistd.h>

static void knows_the_machine(void **state) {
	(void)state;
	char name[256];
	char self[4096];

	assert_true(system_cpu_count() >= 1);
	assert_true(system_memory_bytes() > UINT64_C(1) << 20);
	system_hostname(name, sizeof(name));
	assert_true(strlen(name) > 0);
	system_self_path(self, sizeof(self));
	assert_int_equal(access(self, X_OK), 0);
	assert_true(system_raise_file_limit() > 0);
}

static void finds_programs_in_the_path_only(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf path = { 0 };

	assert_true(system_has_program("sh"));
	assert_true(system_find_program("sh", &path));
	assert_true(buf_text(&path)[0] == '/');
	assert_true(system_has_program(buf_text(&path)));
	assert_false(system_has_program("no-such-program-anywhere"));
	assert_false(system_has_program("/tmp"));
	assert_false(system_has_program("/etc/passwd"));
}

static void makes_paths_absolute(void **state) {
	(void)state;
	struct err err = { 0 };
	char here[4096];
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf expected = { 0 };

	assert_non_null(getcwd(here, sizeof(here)));
	assert_ok(system_absolute_path("/a//", &path, &err), err);
	assert_string_equal(buf_text(&path), "/a");
	assert_ok(system_absolute_path("a/b", &path, &err), err);
	buf_printf(&expected, "%s/a/b", here);
	assert_string_equal(buf_text(&path), buf_text(&expected));
}

static void tells_a_terminal_from_a_pipe(void **state) {
	(void)state;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_false(system_is_terminal(ends[0]));
	assert_int_equal(system_terminal_width(ends[0]), 80);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(close(ends[1]), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(knows_the_machine),
		TEST(finds_programs_in_the_path_only),
		TEST(makes_paths_absolute),
		TEST(tells_a_terminal_from_a_pipe),
	};
	return TEST_RUN(tests);
}
