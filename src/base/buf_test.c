#include "base/buf.h"

#include "base/test.h"

static void is_usable_when_empty(void **state) {
	(void)state;
	struct buf buf = { 0 };
	assert_string_equal(buf_text(&buf), "");
	assert_str_equal(buf_str(&buf), STR_EMPTY);
	buf_reset(&buf);
	buf_consume(&buf, 0);
	buf_append(&buf, NULL, 0);
	buf_deinit(&buf);
	char *taken = buf_take(&buf);
	assert_string_equal(taken, "");
	free(taken);
}

static void adds_to_the_end(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf buf = { 0 };
	buf_append(&buf, "ab\0c", 4);
	buf_add_str(&buf, STR("d"));
	buf_add_text(&buf, "ef");
	buf_add_byte(&buf, 'g');
	buf_printf(&buf, "%d", 42);
	assert_str_equal(buf_str(&buf), STR("ab\0cdefg42"));
	assert_int_equal(buf.ptr[buf.len], '\0');
}

static void prints_what_is_longer_than_its_room(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf buf = { 0 };
	for (size_t i = 0; i < 300; i++) {
		buf_reset(&buf);
		buf_printf(&buf, "%*d", (int)i + 1, 5);
		assert_int_equal(buf.len, i + 1);
		assert_int_equal(buf.ptr[i], '5');
		assert_int_equal(buf.ptr[i + 1], '\0');
	}
}

static void reserves_without_changing_the_length(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf buf = { 0 };
	buf_add_text(&buf, "x");
	char *room = buf_reserve(&buf, 1000);
	assert_ptr_equal(room, buf.ptr + 1);
	assert_int_equal(buf.len, 1);
	memset(room, 'y', 1000);
	assert_true(buf.capacity > 1001);
}

static void consumes_from_the_front(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf buf = { 0 };
	buf_add_text(&buf, "abcdef");
	buf_consume(&buf, 2);
	assert_string_equal(buf_text(&buf), "cdef");
	buf_consume(&buf, 4);
	assert_string_equal(buf_text(&buf), "");
}

static void hands_its_bytes_over(void **state) {
	(void)state;
	struct buf buf = { 0 };
	buf_add_text(&buf, "mine");
	char *taken = buf_take(&buf);
	assert_string_equal(taken, "mine");
	assert_null(buf.ptr);
	assert_int_equal(buf.len, 0);
	free(taken);
}

static void grows_by_more_than_is_asked(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf buf = { 0 };
	size_t moves = 0;
	size_t capacity = 0;
	for (size_t i = 0; i < 1000000; i++) {
		buf_add_byte(&buf, 'x');
		moves += buf.capacity != capacity;
		capacity = buf.capacity;
	}
	assert_true(moves < 40);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(is_usable_when_empty),
		TEST(adds_to_the_end),
		TEST(prints_what_is_longer_than_its_room),
		TEST(reserves_without_changing_the_length),
		TEST(consumes_from_the_front),
		TEST(hands_its_bytes_over),
		TEST(grows_by_more_than_is_asked),
	};
	return TEST_RUN(tests);
}
