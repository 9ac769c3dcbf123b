#include "base/log.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/test.h"

#include <unistd.h>

struct capture {
	int fds[2];
	int stderr_before;
};

static void capture_start(struct capture *capture) {
	assert_int_equal(pipe(capture->fds), 0);
	capture->stderr_before = dup(STDERR_FILENO);
	assert_int_equal(dup2(capture->fds[1], STDERR_FILENO), STDERR_FILENO);
}

static void capture_end(struct capture *capture, struct buf *out) {
	char bytes[4096];
	assert_int_equal(dup2(capture->stderr_before, STDERR_FILENO), STDERR_FILENO);
	(void)close(capture->stderr_before);
	(void)close(capture->fds[1]);
	for (ssize_t got = 1; got > 0;) {
		got = read(capture->fds[0], bytes, sizeof(bytes));
		buf_append(out, bytes, got > 0 ? (size_t)got : 0);
	}
	(void)close(capture->fds[0]);
}

static void writes_one_line_of_logfmt(void **state) {
	(void)state;
	struct capture capture;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct err err = { .text = "no \"such\" file" };
	log_set_role("tester");
	capture_start(&capture);
	log_warn("peer refused", KV("plain", "word"), KV_STR("empty", STR_EMPTY), KV_INT("n", -5),
		KV_FLOAT("f", 0.25), KV("none", NULL), KV_STR("line", STR("a\nb")), KV_ERR(&err));
	capture_end(&capture, &out);
	assert_true(str_starts(buf_str(&out), STR("ts=20")));
	const char *rest = strstr(buf_text(&out), " level=");
	assert_non_null(rest);
	assert_int_equal(rest - buf_text(&out), strlen("ts=2026-11-22T10:00:00.123Z"));
	assert_string_equal(rest,
		" level=warn role=tester msg=\"peer refused\" plain=word empty=\"\" n=-5 f=0.25"
		" none=(null) line=\"a\\nb\" err=\"no \\\"such\\\" file\"\n");
}

static void writes_only_the_level_asked_for(void **state) {
	(void)state;
	struct capture capture;
	AUTO(buf_deinit) struct buf out = { 0 };
	capture_start(&capture);
	log_debug("hidden");
	log_set_level(LOG_ERROR);
	log_warn("hidden too");
	assert_false(log_enabled(LOG_WARN));
	log_set_level(LOG_DEBUG);
	log_debug("shown");
	log_set_level(LOG_INFO);
	capture_end(&capture, &out);
	assert_null(strstr(buf_text(&out), "hidden"));
	assert_non_null(strstr(buf_text(&out), "level=debug role=tester msg=shown\n"));
}

static void bounds_the_lines_of_one_place(void **state) {
	(void)state;
	struct capture capture;
	AUTO(buf_deinit) struct buf out = { 0 };
	capture_start(&capture);
	for (size_t i = 0; i < 1000; i++) {
		log_info("again and again");
	}
	log_info("another place");
	capture_end(&capture, &out);
	size_t lines = 0;
	for (size_t i = 0; i < out.len; i++) {
		lines += out.ptr[i] == '\n';
	}
	/* A second may begin meanwhile, even two. */
	assert_in_range(lines, LOG_SITE_PER_SECOND_MAX + 1, 3 * LOG_SITE_PER_SECOND_MAX + 1);
	assert_non_null(strstr(buf_text(&out), "another place"));
}

static void tells_what_a_place_swallowed(void **state) {
	(void)state;
	struct capture capture;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct log_site site = { .window_s = 1, .count = LOG_SITE_PER_SECOND_MAX + 7 };
	const struct log_pair none = { .kind = LOG_KIND_END };
	capture_start(&capture);
	log_write(&site, LOG_INFO, "next", &none);
	capture_end(&capture, &out);
	assert_true(str_ends(buf_str(&out), STR(" msg=next swallowed=7\n")));
}

static void knows_the_names_of_levels(void **state) {
	(void)state;
	enum log_level level = LOG_INFO;
	assert_true(log_parse_level(STR("error"), &level));
	assert_int_equal(level, LOG_ERROR);
	assert_false(log_parse_level(STR("fatal"), &level));
	assert_int_equal(level, LOG_ERROR);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(writes_one_line_of_logfmt),
		TEST(writes_only_the_level_asked_for),
		TEST(bounds_the_lines_of_one_place),
		TEST(tells_what_a_place_swallowed),
		TEST(knows_the_names_of_levels),
	};
	return TEST_RUN(tests);
}
