#include "base/err.h"

#include "base/test.h"

#include <errno.h>

static void holds_code_and_sentence(void **state) {
	(void)state;
	struct err err = { 0 };
	assert_int_equal(err_set(&err, ERR_LIMIT, "%d of %d", 3, 2), ERR_LIMIT);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "3 of 2");
}

static void may_be_absent(void **state) {
	(void)state;
	assert_int_equal(err_set(NULL, ERR_INVAL, "x"), ERR_INVAL);
	assert_int_equal(err_wrap(NULL, ERR_CLOSED, "x"), ERR_CLOSED);
	assert_int_equal(err_errno(NULL, EIO, "x"), ERR_IO);
}

static void puts_where_it_happened_in_front(void **state) {
	(void)state;
	struct err err = { 0 };
	int rc = err_set(&err, ERR_CORRUPT, "bad magic");
	rc = err_wrap(&err, rc, "index");
	assert_int_equal(err_wrap(&err, rc, "block %s", "01J"), ERR_CORRUPT);
	assert_string_equal(err.text, "block 01J: index: bad magic");
}

static void names_the_systems_reason(void **state) {
	(void)state;
	struct err err = { 0 };
	assert_int_equal(err_errno(&err, ENOENT, "open %s", "/x"), ERR_IO);
	assert_string_equal(err.text, "open /x: No such file or directory");
}

static void may_be_built_from_its_own_text(void **state) {
	(void)state;
	struct err err = { 0 };
	(void)err_set(&err, ERR_INVAL, "inner");
	(void)err_set(&err, ERR_INVAL, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void cuts_what_is_too_long(void **state) {
	(void)state;
	struct err err = { 0 };
	char text[2000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, ERR_INVAL, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	(void)err_wrap(&err, ERR_INVAL, "%.300s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	(void)err_wrap(&err, ERR_INVAL, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	(void)err_errno(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void names_each_code(void **state) {
	(void)state;
	assert_string_equal(err_name(0), "ok");
	assert_string_equal(err_name(ERR_INVAL), "inval");
	assert_string_equal(err_name(ERR_EXEC), "exec");
	assert_string_equal(err_name(ERR_ABSENT), "absent");
	assert_string_equal(err_name(-99), "unknown");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(holds_code_and_sentence),
		TEST(may_be_absent),
		TEST(puts_where_it_happened_in_front),
		TEST(names_the_systems_reason),
		TEST(may_be_built_from_its_own_text),
		TEST(cuts_what_is_too_long),
		TEST(names_each_code),
	};
	return TEST_RUN(tests);
}
