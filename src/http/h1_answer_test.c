#include "http/h1_answer.h"

#include "base/buf.h"
#include "base/test.h"

#define HEADER_BYTES_MAX 400

/* What came of an answer read in pieces of 'step' bytes. */
struct reading {
	struct arena arena;
	struct h1_answer_reader reader;
	struct buf body;
	struct err err;
	size_t used;
	unsigned heads;
	int end; /* H1_ANSWER_END, H1_ANSWER_MORE (cut off), or an error. */
};

static void read_answer(struct reading *reading, struct str bytes, size_t step, bool is_to_head) {
	*reading = (struct reading){ 0 };
	h1_answer_init(&reading->reader, &reading->arena, is_to_head, HEADER_BYTES_MAX);
	size_t given = 0;
	int event = H1_ANSWER_MORE;
	do {
		size_t used = 0;
		struct str piece = STR_EMPTY;
		struct str fresh = str_from(str_first(bytes, given), reading->used);
		event = h1_answer_read(&reading->reader, fresh, &used, &piece, &reading->err);
		reading->used += used;
		reading->heads += event == H1_ANSWER_HEAD;
		if (event == H1_ANSWER_BODY) {
			buf_add_str(&reading->body, piece);
		}
		if (event == H1_ANSWER_MORE) {
			if (given == bytes.len) {
				break;
			}
			given = given + step < bytes.len ? given + step : bytes.len;
		}
	} while (event >= 0 && event != H1_ANSWER_END);
	reading->end = event;
}

static void reading_deinit(struct reading *reading) {
	arena_deinit(&reading->arena);
	buf_deinit(&reading->body);
}

static const size_t steps[] = { 1, 2, 3, 7, 50, 100000 };

/* The same whatever the pieces. */
static void expect_body(
	const char *text, bool is_to_head, int status, const char *body, size_t left_over) {
	for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
		struct reading reading;
		read_answer(&reading, str_of(text), steps[i], is_to_head);
		assert_int_equal(reading.end, H1_ANSWER_END);
		assert_int_equal(reading.heads, 1);
		assert_int_equal(reading.reader.status, status);
		assert_str_equal(buf_str(&reading.body), str_of(body));
		assert_int_equal(reading.used, strlen(text) - left_over);
		reading_deinit(&reading);
	}
}

static void reads_bodies_of_every_framing(void **state) {
	(void)state;
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello", 0);
	expect_body("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, 200, "", 0);
	expect_body("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n",
		false, 200, "hello", 0);
	expect_body("HTTP/1.0 404 No\r\nContent-Length: 2\r\n\r\nno", false, 404, "no", 0);
}

static void some_answers_have_no_body(void **state) {
	(void)state;
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, "", 0);
	expect_body("HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", 0);
	expect_body("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, "", 0);
}

static void what_follows_an_answer_is_left(void **state) {
	(void)state;
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK", false, 200,
		"ok", 15);
}

static void interim_answers_are_read_over(void **state) {
	(void)state;
	expect_body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
		    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		false, 200, "ok", 0);
}

static void a_body_without_a_length_ends_with_the_connection(void **state) {
	(void)state;
	struct reading reading;
	read_answer(&reading, STR("HTTP/1.1 200 OK\r\n\r\nuntil the end"), 4, false);
	assert_int_equal(reading.end, H1_ANSWER_MORE);
	assert_false(reading.reader.keep_alive);
	assert_ok(h1_answer_close(&reading.reader, &reading.err), reading.err);
	assert_str_equal(buf_str(&reading.body), STR("until the end"));
	reading_deinit(&reading);
}

static void a_connection_that_ends_too_early_is_told(void **state) {
	(void)state;
	static const char *const texts[] = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct reading reading;
		read_answer(&reading, str_of(texts[i]), 9, false);
		assert_int_equal(h1_answer_close(&reading.reader, &reading.err), ERR_CLOSED);
		assert_non_null(strstr(reading.err.text, "before the answer did"));
		reading_deinit(&reading);
	}
	struct reading reading;
	read_answer(&reading, STR(""), 1, false);
	assert_int_equal(h1_answer_close(&reading.reader, &reading.err), ERR_CLOSED);
	assert_non_null(strstr(reading.err.text, "without an answer"));
	reading_deinit(&reading);
}

static void says_whether_the_connection_goes_on(void **state) {
	(void)state;
	static const struct {
		const char *text;
		bool goes_on;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n", false },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", true },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct reading reading;
		read_answer(&reading, str_of(cases[i].text), 5, false);
		assert_int_equal(reading.end, H1_ANSWER_END);
		assert_int_equal(reading.reader.keep_alive, cases[i].goes_on);
		reading_deinit(&reading);
	}
}

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static void refuses_what_two_readers_could_take_for_two_answers(void **state) {
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{ OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "given twice" },
		{ OK "Content-Length: 1, 1\r\n\r\n", "plain number" },
		{ OK "Content-Length: +1\r\n\r\n", "plain number" },
		{ OK "Content-Length: 01\r\n\r\n", "plain number" },
		{ OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both" },
		{ OK "Transfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding" },
		{ OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "twice" },
		{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0" },
		{ OK "X : y\r\n\r\n", "not a word" },
		{ OK "X: y\r\n z\r\n\r\n", "folded" },
		{ OK "X: y\n\r\n", "without CR" },
		{ OK "X: a\rb\r\n\r\n", "CR inside" },
		{ OK "X\r\n\r\n", "no colon" },
		{ CHUNKED "-1\r\n", "not a number" },
		{ CHUNKED "1 \r\n", "not a number" },
		{ CHUNKED "0x1\r\n", "not a number" },
		{ CHUNKED "1000000000000000\r\n", "too long" },
		{ CHUNKED "1\r\nxy\r\n", "longer than its size" },
		{ "HTTP/1.1 101 Switching\r\n\r\n", "changes the protocol" },
		{ "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n", "interim" },
		{ "HTTP/2 200 OK\r\n", "first line" },
		{ "HTTP/1.1 20 OK\r\n", "first line" },
		{ "HTTP/1.1 2000 OK\r\n", "first line" },
		{ "HTTP/1.1 600 OK\r\n", "first line" },
		{ "HTTP/1.1  200 OK\r\n", "first line" },
		{ "SSH-2.0-OpenSSH_9.2\r\n", "first line" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		for (size_t j = 0; j < ARRAY_COUNT(steps); j++) {
			struct reading reading;
			read_answer(&reading, str_of(cases[i].text), steps[j], false);
			assert_int_equal(reading.end, ERR_CORRUPT);
			assert_non_null(strstr(reading.err.text, cases[i].why));
			reading_deinit(&reading);
		}
	}
}

static void a_header_without_end_is_cut(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_add_text(&text, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 100; i++) {
		buf_add_text(&text, "X: yyyyyyyy\r\n");
	}
	struct reading reading;
	read_answer(&reading, buf_str(&text), 13, false);
	assert_int_equal(reading.end, ERR_LIMIT);
	assert_true(reading.used <= HEADER_BYTES_MAX);
	reading_deinit(&reading);
	buf_reset(&text);
	for (int i = 0; i < 100; i++) {
		buf_add_text(&text, "HTTP/1.1 100 Continue\r\n\r\n");
	}
	read_answer(&reading, buf_str(&text), 13, false);
	assert_int_equal(reading.end, ERR_LIMIT);
	reading_deinit(&reading);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(reads_bodies_of_every_framing),
		TEST(some_answers_have_no_body),
		TEST(what_follows_an_answer_is_left),
		TEST(interim_answers_are_read_over),
		TEST(a_body_without_a_length_ends_with_the_connection),
		TEST(a_connection_that_ends_too_early_is_told),
		TEST(says_whether_the_connection_goes_on),
		TEST(refuses_what_two_readers_could_take_for_two_answers),
		TEST(a_header_without_end_is_cut),
	};
	return TEST_RUN(tests);
}
