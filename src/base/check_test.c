#include "base/check.h"

#include "base/death.h"
#include "base/test.h"
#include "base/thread.h"

static void fail_a_check(void) {
	thread_set_role(THREAD_MAIN, "tester");
	CHECK(1 + 1 == 3);
}

static void ends_the_process_saying_what_and_where(void **state) {
	(void)state;
	char output[8192];
	assert_true(death_of(fail_a_check, output, sizeof(output)));
	assert_non_null(strstr(output, "check_test.c:"));
	assert_non_null(strstr(output, "check failed in thread tester: 1 + 1 == 3"));
}

static void goes_on_when_the_condition_holds(void **state) {
	(void)state;
	CHECK(1 + 1 == 2);
	DCHECK(1 + 1 == 2);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(ends_the_process_saying_what_and_where),
		TEST(goes_on_when_the_condition_holds),
	};
	return TEST_RUN(tests);
}
