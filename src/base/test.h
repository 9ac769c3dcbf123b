/*
 * What every unit test binary shares: cmocka, and the closing line that ./dev check adds up.
 *
 *   static void refuses_a_name_given_twice(void **state) { ... }
 *   int main(void) { const struct CMUnitTest tests[] = { TEST(refuses_a_name_given_twice) };
 *                    return TEST_RUN(tests); }
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include "base/compiler.h"
#include "base/str.h"

#include <setjmp.h> /* IWYU pragma: keep; cmocka.h wants these four before it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned test_skip_count;

#define TEST(function) cmocka_unit_test(function)

/* Ends the running test as skipped, saying why on the output. */
#define TEST_SKIP(why)                                                                             \
	do {                                                                                       \
		test_skip_count++;                                                                 \
		(void)printf("SKIP %s: %s\n", __func__, (why));                                    \
		skip();                                                                            \
	} while (0)

/* Two slices hold the same bytes. */
#define assert_str_equal(a, b)                                                                     \
	do {                                                                                       \
		struct str test_a = (a);                                                           \
		struct str test_b = (b);                                                           \
		if (!str_equal(test_a, test_b)) {                                                  \
			fail_msg("\"%.*s\" is not \"%.*s\"", STR_ARG(test_a), STR_ARG(test_b));    \
		}                                                                                  \
	} while (0)

/* A call that should succeed; prints the sentence in 'err' otherwise. */
#define assert_ok(call, err)                                                                       \
	do {                                                                                       \
		int test_rc = (call);                                                              \
		if (test_rc < 0) {                                                                 \
			fail_msg("%s: %d: %s", #call, test_rc, (err).text);                        \
		}                                                                                  \
	} while (0)

/* The conformance data's folder, or NULL when ATOLL_TESTDATA is not set. */
static inline const char *test_data(void) {
	const char *path = getenv("ATOLL_TESTDATA"); // NOLINT(concurrency-mt-unsafe): tests only
	return path && path[0] ? path : NULL;
}

static inline int test_close(size_t count, int failed) {
	(void)printf("%zu passed, %d failed, %u skipped\n",
		count - (size_t)failed - test_skip_count, failed, test_skip_count);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define TEST_RUN(tests)                                                                            \
	test_close(sizeof(tests) / sizeof((tests)[0]), cmocka_run_group_tests((tests), NULL, NULL))

#endif
