#include "http/h1.h"

#include "base/compiler.h"
#include "base/test.h"

struct reading {
	struct arena arena;
	struct http_request request;
	struct buf body;
	struct h1_reader reader;
	struct err err;
	size_t used;
};

static void begin(struct reading *reading) {
	*reading = (struct reading){ 0 };
	h1_reader_init(
		&reading->reader, &reading->arena, &reading->request, &reading->body, 4096, 1000);
}

static void end(struct reading *reading) {
	arena_deinit(&reading->arena);
	buf_deinit(&reading->body);
}

/* Gives the text in pieces of 'step' bytes, as a slow client would. Returns the last event. */
static int read_pieces(struct reading *reading, struct str text, size_t step) {
	size_t given = 0;
	size_t taken = 0;
	int event = H1_MORE;

	while (given < text.len && event >= 0 && event != H1_HAS_ALL) {
		size_t used = 0;

		given = given + step < text.len ? given + step : text.len;
		do {
			event = h1_read(&reading->reader, str_from(str_first(text, given), taken),
				&used, &reading->err);
			taken += used;
		} while (event == H1_HAS_HEAD);
	}
	reading->used = taken;
	return event;
}

static int read_all(struct reading *reading, const char *text) {
	return read_pieces(reading, str_of(text), SIZE_MAX / 2);
}

static void reads_a_request_with_a_body(void **state) {
	static const char text[] = "POST /api/v1/query?x=1 HTTP/1.1\r\nHost: hub:9490\r\n"
				   "Content-Length: 7\r\nX-Odd:\t spaced \t\r\n\r\nquery=1NEXT";
	(void)state;
	for (size_t step = 1; step < sizeof(text); step++) {
		struct reading r;

		begin(&r);
		assert_int_equal(read_pieces(&r, STR(text), step), H1_HAS_ALL);
		assert_str_equal(r.request.method, STR("POST"));
		assert_str_equal(r.request.target, STR("/api/v1/query?x=1"));
		assert_str_equal(r.request.path, STR("/api/v1/query"));
		assert_str_equal(r.request.query, STR("x=1"));
		assert_str_equal(r.request.authority, STR("hub:9490"));
		assert_str_equal(http_headers_get(&r.request.headers, STR("x-odd")), STR("spaced"));
		assert_str_equal(r.request.body, STR("query=1"));
		assert_int_equal(r.used, sizeof(text) - 1 - 4);
		assert_true(r.reader.keep_alive);
		end(&r);
	}
}

static void reads_chunks_of_any_size(void **state) {
	static const char text[] =
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
		"5\r\nhello\r\n1;name=\"v\"\r\n \r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
	(void)state;
	for (size_t step = 1; step < sizeof(text); step++) {
		struct reading r;

		begin(&r);
		assert_int_equal(read_pieces(&r, STR(text), step), H1_HAS_ALL);
		assert_str_equal(r.request.body, STR("hello 0123456789"));
		assert_int_equal(r.used, sizeof(text) - 1);
		end(&r);
	}
}

static void leaves_pipelined_requests(void **state) {
	static const char text[] = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
				   "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct reading r;

	(void)state;
	begin(&r);
	assert_int_equal(read_all(&r, text), H1_HAS_ALL);
	assert_str_equal(r.request.path, STR("/1"));
	assert_int_equal(r.used, (sizeof(text) - 1) / 2);
	end(&r);
}

static void skips_one_empty_line_before_a_request(void **state) {
	struct reading r;

	(void)state;
	begin(&r);
	assert_int_equal(read_all(&r, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), H1_HAS_ALL);
	end(&r);
	begin(&r);
	assert_int_equal(read_all(&r, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_INVAL);
	end(&r);
}

static void takes_the_host_from_an_absolute_target(void **state) {
	struct reading r;

	(void)state;
	begin(&r);
	assert_int_equal(
		read_all(&r, "GET HTTP://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), H1_HAS_ALL);
	assert_str_equal(r.request.authority, STR("b:1"));
	assert_str_equal(r.request.target, STR("/x?y"));
	end(&r);
	begin(&r);
	assert_int_equal(read_all(&r, "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n"), H1_HAS_ALL);
	assert_str_equal(r.request.path, STR("/"));
	end(&r);
}

static void knows_whether_the_connection_goes_on(void **state) {
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct reading r;

		begin(&r);
		assert_int_equal(read_all(&r, cases[i].text), H1_HAS_ALL);
		if (r.reader.keep_alive != cases[i].keep_alive) {
			fail_msg("%s", cases[i].text);
		}
		end(&r);
	}
}

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

/* What two readers could understand differently, and what is simply broken. */
static const struct {
	const char *text;
	int status;
} refused[] = {
	{ HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400 },
	{ HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
	{ HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400 },
	{ HEAD "Content-Length: 1, 1\r\n\r\n", 400 },
	{ HEAD "Content-Length: +1\r\n\r\n", 400 },
	{ HEAD "Content-Length: -1\r\n\r\n", 400 },
	{ HEAD "Content-Length: 01\r\n\r\n", 400 },
	{ HEAD "Content-Length: 0x1\r\n\r\n", 400 },
	{ HEAD "Content-Length: 1 1\r\n\r\n", 400 },
	{ HEAD "Content-Length:\r\n\r\n", 400 },
	{ HEAD "Content-Length: 18446744073709551617\r\n\r\n", 400 },
	{ HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ HEAD "Transfer-Encoding: xchunked\r\n\r\n", 501 },
	{ HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
	{ HEAD "Transfer-Encoding: chunked, identity\r\n\r\n", 501 },
	{ HEAD "Transfer-Encoding: \"chunked\"\r\n\r\n", 501 },
	{ HEAD "Transfer-Encoding: identity\r\n\r\n", 501 },
	{ HEAD "Transfer-Encoding : chunked\r\n\r\n", 400 },
	{ HEAD "Transfer-Encoding\t: chunked\r\n\r\n", 400 },
	{ HEAD "Transfer-Encoding: chunked\n\r\n", 400 },
	{ HEAD "X: a\rTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ HEAD " Transfer-Encoding: chunked\r\n\r\n", 400 },
	{ HEAD "X: a\r\n folded\r\n\r\n", 400 },
	{ HEAD "X\x01: a\r\n\r\n", 400 },
	{ HEAD "X: a\x01\r\n\r\n", 400 },
	{ HEAD ": a\r\n\r\n", 400 },
	{ HEAD "no colon\r\n\r\n", 400 },
	{ HEAD "Expect: 200-ok\r\n\r\n", 417 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400 },
	{ "GET /\r\n", 400 },
	{ "GET / http/1.1\r\n", 400 },
	{ "GET / HTTP/1.1 \r\n", 400 },
	{ "GET  / HTTP/1.1\r\n", 400 },
	{ "GET\t/ HTTP/1.1\r\n", 400 },
	{ " GET / HTTP/1.1\r\n", 400 },
	{ "GET / HTTP/1.1\n", 400 },
	{ "GET /a#b HTTP/1.1\r\n", 400 },
	{ "GET a HTTP/1.1\r\n", 400 },
	{ "GET * HTTP/1.1\r\n", 400 },
	{ "GET http://u@a/ HTTP/1.1\r\n", 400 },
	{ "GET ftp://a/ HTTP/1.1\r\n", 400 },
	{ "G(T / HTTP/1.1\r\n", 400 },
	{ "CONNECT a:1 HTTP/1.1\r\n", 501 },
	{ "GET / HTTP/2.0\r\n", 505 },
	{ "GET / HTTP/1.2\r\n", 505 },
	{ "GET / HTTP/0.9\r\n", 505 },
	{ CHUNKED "\r\n", 400 },
	{ CHUNKED "g\r\n", 400 },
	{ CHUNKED "0x5\r\n", 400 },
	{ CHUNKED "-1\r\n", 400 },
	{ CHUNKED "5 \r\n", 400 },
	{ CHUNKED "5\n", 400 },
	{ CHUNKED "5;a\nb\r\n", 400 },
	{ CHUNKED "5;a\x01\r\n", 400 },
	{ CHUNKED "1\r\nab\r\n", 400 },
	{ CHUNKED "1\r\na\n", 400 },
	{ CHUNKED "ffffffffffffffff\r\n", 400 },
	{ CHUNKED "10000000000000005\r\n", 400 },
	{ CHUNKED "3e9\r\n", 413 },
	{ CHUNKED "0\r\nbad trailer\r\n", 400 },
	{ HEAD "Content-Length: 1001\r\n\r\n", 413 },
};

static void refuses_what_could_be_misread(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
		for (size_t step = 1; step < 80; step += 39) {
			struct reading r;

			begin(&r);
			int rc = read_pieces(&r, str_of(refused[i].text), step);
			if (rc >= 0 || r.reader.status != refused[i].status) {
				fail_msg("rc %d, status %d instead of %d for:\n%s", rc,
					r.reader.status, refused[i].status, refused[i].text);
			}
			end(&r);
		}
	}
}

static void refuses_a_nul_byte(void **state) {
	struct reading r;

	(void)state;
	begin(&r);
	assert_int_equal(read_pieces(&r, STR("GET /\0a HTTP/1.1\r\n"), 100), ERR_INVAL);
	end(&r);
	begin(&r);
	assert_int_equal(
		read_pieces(&r, STR("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n"), 100), ERR_INVAL);
	end(&r);
}

static void bounds_the_request_line_and_the_header(void **state) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct reading r;

	(void)state;
	buf_add_text(&text, "GET /");
	while (text.len < 5000) {
		buf_add_byte(&text, 'a');
	}
	begin(&r);
	assert_int_equal(read_pieces(&r, buf_str(&text), 100), ERR_LIMIT);
	assert_int_equal(r.reader.status, 414);
	end(&r);

	buf_reset(&text);
	buf_add_text(&text, "GET / HTTP/1.1\r\n");
	while (text.len < 5000) {
		buf_add_text(&text, "X: a\r\n");
	}
	begin(&r);
	assert_int_equal(read_pieces(&r, buf_str(&text), 100), ERR_LIMIT);
	assert_int_equal(r.reader.status, 431);
	end(&r);
}

static void bounds_the_number_of_headers(void **state) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct reading r;

	(void)state;
	buf_add_text(&text, "GET / HTTP/1.1\r\n");
	for (int i = 0; i <= H1_HEADERS_MAX; i++) {
		buf_add_text(&text, "X:a\r\n");
	}
	begin(&r);
	assert_int_equal(read_pieces(&r, buf_str(&text), 100), ERR_LIMIT);
	assert_int_equal(r.reader.status, 431);
	end(&r);
}

static void bounds_trailers_and_chunk_lines(void **state) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct reading r;

	(void)state;
	buf_add_text(&text, CHUNKED "0\r\n");
	while (text.len < 5000) {
		buf_add_text(&text, "X: a\r\n");
	}
	begin(&r);
	assert_int_equal(read_pieces(&r, buf_str(&text), 7), ERR_LIMIT);
	end(&r);

	buf_reset(&text);
	buf_add_text(&text, CHUNKED "1;");
	while (text.len < 600) {
		buf_add_byte(&text, 'a');
	}
	begin(&r);
	assert_int_equal(read_pieces(&r, buf_str(&text), 7), ERR_INVAL);
	end(&r);
}

static void sums_up_chunks_against_the_limit(void **state) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct reading r;

	(void)state;
	buf_add_text(&text, CHUNKED);
	for (int i = 0; i < 101; i++) {
		buf_add_text(&text, "a\r\n0123456789\r\n");
	}
	begin(&r);
	assert_int_equal(read_pieces(&r, buf_str(&text), 64), ERR_LIMIT);
	assert_int_equal(r.reader.status, 413);
	assert_int_equal(r.body.len, 1000);
	end(&r);
}

static void tells_when_a_client_waits_for_continue(void **state) {
	struct reading r;
	size_t used = 0;

	(void)state;
	begin(&r);
	assert_int_equal(
		h1_read(&r.reader, STR(HEAD "Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n"),
			&used, &r.err),
		H1_HAS_HEAD);
	assert_true(r.reader.expects_continue);
	assert_int_equal(h1_read(&r.reader, STR("ok"), &used, &r.err), H1_HAS_ALL);
	end(&r);
}

static void writes_answers(void **state) {
	AUTO(buf_deinit) struct buf out = { 0 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct http_headers headers = { 0 };
	struct h1_answer answer = {
		.status = 200,
		.keep_alive = true,
		.content_length = 5,
		.content_type = STR("text/plain"),
		.date = STR("now"),
		.headers = &headers,
	};

	(void)state;
	http_headers_add(&headers, &arena, STR("X-Content-type"), STR("v"));
	h1_write_head(&answer, &out);
	assert_string_equal(buf_text(&out),
		"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/plain\r\n"
		"X-Content-Type: v\r\nContent-Length: 5\r\n\r\n");
	buf_reset(&out);
	answer.framing = H1_FRAMING_CHUNKED;
	answer.keep_alive = false;
	answer.headers = NULL;
	h1_write_head(&answer, &out);
	h1_write_chunk(STR("0123456789"), &out);
	h1_write_chunk(STR_EMPTY, &out);
	h1_write_last_chunk(&out);
	assert_string_equal(buf_text(&out),
		"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/plain\r\n"
		"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
		"a\r\n0123456789\r\n0\r\n\r\n");
}

static void writes_dates(void **state) {
	AUTO(buf_deinit) struct buf out = { 0 };

	(void)state;
	http_date_format(INT64_C(784111777) * 1000 + 999, &out);
	assert_string_equal(buf_text(&out), "Sun, 06 Nov 1994 08:49:37 GMT");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(reads_a_request_with_a_body),
		TEST(reads_chunks_of_any_size),
		TEST(leaves_pipelined_requests),
		TEST(skips_one_empty_line_before_a_request),
		TEST(takes_the_host_from_an_absolute_target),
		TEST(knows_whether_the_connection_goes_on),
		TEST(refuses_what_could_be_misread),
		TEST(refuses_a_nul_byte),
		TEST(bounds_the_request_line_and_the_header),
		TEST(bounds_the_number_of_headers),
		TEST(bounds_trailers_and_chunk_lines),
		TEST(sums_up_chunks_against_the_limit),
		TEST(tells_when_a_client_waits_for_continue),
		TEST(writes_answers),
		TEST(writes_dates),
	};

	return TEST_RUN(tests);
}
