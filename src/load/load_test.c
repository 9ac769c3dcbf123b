#include "load/load.h"

#include "base/test.h"
#include "load/testing.h"

struct loaded {
	struct buf text; /* What was committed. */
	struct load_count count;
	size_t commits;
	struct err err;
	int rc;
};

static struct loaded load(const char *text, enum exposition_format format, size_t piece_bytes) {
	struct loaded out = { 0 };
	struct test_appendable to = { { test_begin }, .out = &out.text };
	const struct load_options options = {
		.format = format, .to = &to.appendable, .piece_bytes = piece_bytes
	};
	FILE *in = tmpfile();

	assert_non_null(in);
	(void)fputs(text, in);
	rewind(in);
	load_count_init(&out.count);
	out.rc = load_file(in, "a.om", &options, &out.count, &out.err);
	out.commits = to.commits;
	(void)fclose(in);
	return out;
}

static struct loaded load_openmetrics(const char *text, size_t piece_bytes) {
	return load(text, EXPOSITION_FORMAT_OPENMETRICS, piece_bytes);
}

static const char sample_text[] = "# TYPE http_requests counter\n"
				  "http_requests_total{code=\"200\"} 1 100.5\n"
				  "http_requests_total{code=\"200\"} 2 115.5\n"
				  "http_requests_total{code=\"500\"} 7 100.5\n"
				  "# TYPE wait histogram\n"
				  "wait_bucket{le=\"1\"} 3 100\n"
				  "wait_bucket{le=\"1\"} 4 115\n"
				  "# EOF\n";
static const char sample_loaded[] = "#1 http_requests_total{code=\"200\"}\n"
				    "1 100500=1\n"
				    "1 115500=2\n"
				    "#2 http_requests_total{code=\"500\"}\n"
				    "2 100500=7\n"
				    "#3 wait_bucket{le=\"1.0\"}\n"
				    "3 100000=3\n"
				    "3 115000=4\n";

static void loads_series_one_after_the_other(void **state) {
	struct loaded out = load_openmetrics(sample_text, 0);

	(void)state;
	assert_ok(out.rc, out.err);
	assert_string_equal(buf_text(&out.text), sample_loaded);
	assert_int_equal(out.count.samples, 5);
	assert_int_equal(out.count.series, 3);
	assert_int_equal(out.count.min_ms, 100000);
	assert_int_equal(out.count.max_ms, 115500);
	buf_deinit(&out.text);
}

/* The type of a family holds in later pieces, too: buckets get their canonical bounds. */
static void loads_the_same_in_pieces_of_any_size(void **state) {
	(void)state;
	for (size_t bytes = 44; bytes < sizeof(sample_text) + 2; bytes++) {
		struct loaded out = load_openmetrics(sample_text, bytes);

		assert_ok(out.rc, out.err);
		assert_string_equal(buf_text(&out.text), sample_loaded);
		assert_int_equal(out.count.series, 3);
		assert_true(bytes > 200 || out.commits > 2);
		buf_deinit(&out.text);
	}
}

static void loads_the_classic_format(void **state) {
	struct loaded out = load("# TYPE up gauge\nup{job=\"a\"} 1 1000\nup{job=\"b\"} 0 1500",
		EXPOSITION_FORMAT_TEXT, 30);

	(void)state;
	assert_ok(out.rc, out.err);
	assert_string_equal(
		buf_text(&out.text), "#1 up{job=\"a\"}\n1 1000=1\n#2 up{job=\"b\"}\n2 1500=0\n");
	buf_deinit(&out.text);
}

static void counts_what_is_left_out(void **state) {
	struct loaded out = load("up 1 1000\nup 2 1000\nup 3 900\nup 1 1000\nup 4 2000\n",
		EXPOSITION_FORMAT_TEXT, 0);

	(void)state;
	assert_ok(out.rc, out.err);
	assert_int_equal(out.count.samples, 3);
	assert_int_equal(out.count.duplicates, 1);
	assert_int_equal(out.count.out_of_order, 1);
	buf_deinit(&out.text);
}

/* A piece with an error is not loaded; those before are. */
static void assert_fails(const char *text, size_t piece_bytes, const char *sentence) {
	struct loaded out = load_openmetrics(text, piece_bytes);

	assert_int_equal(out.rc, ERR_INVAL);
	assert_non_null(strstr(out.err.text, sentence));
	buf_deinit(&out.text);
}

static void errors_name_file_and_line(void **state) {
	(void)state;
	assert_fails("a 1 100\nb 2\n# EOF\n", 0, "a.om: line 2: a sample without a timestamp");
	assert_fails("a 1 100\na 2 200\nb 2\nb 3 4\n# EOF\n", 12,
		"a.om: line 3: a sample without a timestamp");
	assert_fails("a 1 100\n= 2\n# EOF\n", 0, "a.om: line 2: ");
	assert_fails("a 1 100\n", 0, "does not end with # EOF");
	assert_fails("a 1 100\n# EOF\nb 2 200\n# EOF\n", 0, "a.om: ");
	assert_fails("a 1 100\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1 200\n# EOF\n", 16,
		"a.om: line 2 is longer than 16 bytes");
}

static void refuses_bytes_that_are_no_text(void **state) {
	struct test_appendable to = { { test_begin } };
	const struct load_options options = { .format = EXPOSITION_FORMAT_TEXT,
		.to = &to.appendable };
	struct load_count count;
	struct err err = { 0 };
	char bytes[] = "a 1 1\n\0b 1 1\n";
	FILE *in = fmemopen(bytes, sizeof(bytes) - 1, "r");

	(void)state;
	load_count_init(&count);
	assert_int_equal(load_file(in, "x", &options, &count, &err), ERR_INVAL);
	assert_non_null(strstr(err.text, "zero byte"));
	(void)fclose(in);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(loads_series_one_after_the_other),
		TEST(loads_the_same_in_pieces_of_any_size),
		TEST(loads_the_classic_format),
		TEST(counts_what_is_left_out),
		TEST(errors_name_file_and_line),
		TEST(refuses_bytes_that_are_no_text),
	};
	return TEST_RUN(tests);
}
