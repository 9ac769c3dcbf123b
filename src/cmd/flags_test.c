#include "cmd/flags.h"

#include "base/test.h"

struct config {
	const char *file;
	struct flag_list addresses;
	bool verbose;
	int64_t count;
	uint64_t size;
	int64_t wait_ms;
	const char *output;
};

static int never_run(const void *config, char **args, size_t arg_count) {
	(void)config;
	(void)args;
	(void)arg_count;
	return 1;
}

static const struct flag rows[] = {
	FLAG_TEXT_ROW(struct config, file, "config.file", "FILE", "atoll.yml", "What to read."),
	FLAG_LIST_ROW(struct config, addresses, "web.listen-address", "HOST:PORT", "127.0.0.1:1",
		"Where to listen."),
	FLAG_BOOL_ROW(struct config, verbose, "verbose", "Say more."),
	FLAG_INT_ROW(struct config, count, "count", "N", "7", "How many."),
	FLAG_BYTES_ROW(struct config, size, "size", "BYTES", "1MB", "How large."),
	FLAG_DURATION_ROW(struct config, wait_ms, "wait", "DURATION", "1m30s", "How long."),
	FLAG_OUTPUT_ROW(struct config, output),
};

static const struct command command = {
	.name = "try",
	.summary = "try things",
	.arguments = "FILE...",
	.flags = rows,
	.flag_count = ARRAY_COUNT(rows),
	.config_size = sizeof(struct config),
	.run = never_run,
};

static int parse(char **argv, int argc, struct config *config, size_t *args, struct err *err) {
	*config = (struct config){ 0 };
	return flags_parse(&command, argc, argv, config, args, err);
}

static void fills_defaults(void **state) {
	(void)state;
	struct config config;
	size_t args = 9;
	struct err err = { 0 };
	char *argv[] = { NULL };

	assert_ok(parse(argv, 0, &config, &args, &err), err);
	assert_string_equal(config.file, "atoll.yml");
	assert_int_equal(config.addresses.count, 1);
	assert_false(config.verbose);
	assert_int_equal(config.count, 7);
	assert_int_equal(config.size, 1 << 20);
	assert_int_equal(config.wait_ms, 90000);
	assert_int_equal(args, 0);
}

static void reads_every_spelling(void **state) {
	(void)state;
	struct config config;
	size_t args = 0;
	struct err err = { 0 };
	char first[] = "--config.file=a=b", second[] = "--web.listen-address", value[] = "x:1";
	char third[] = "--web.listen-address=y:2", yes[] = "--verbose", size[] = "--size=3GiB";
	char arg[] = "one", dashes[] = "--", last[] = "--two", wait[] = "--wait=2d";
	char *argv[] = { first, second, value, third, yes, arg, size, wait, dashes, last, NULL };

	assert_ok(parse(argv, 10, &config, &args, &err), err);
	assert_string_equal(config.file, "a=b");
	assert_int_equal(config.addresses.count, 2);
	assert_string_equal(config.addresses.items[1], "y:2");
	assert_true(config.verbose);
	assert_true(config.size == UINT64_C(3) << 30);
	assert_int_equal(config.wait_ms, 172800000);
	assert_int_equal(args, 2);
	assert_string_equal(argv[0], "one");
	assert_string_equal(argv[1], "--two");
}

static void refuses_with_a_sentence(void **state) {
	(void)state;
	static const struct {
		const char *arg;
		const char *sentence;
	} cases[] = {
		{ "--config.fil=x", "unknown flag --config.fil, did you mean --config.file?" },
		{ "--zzz", "unknown flag --zzz, see atoll try --help" },
		{ "--count", "--count needs a value: --count=N" },
		{ "--count=1x", "--count: \"1x\" is not a whole number" },
		{ "--size=5XB", "--size: \"5XB\" is not a size, write one like 512, 64KB or 10GB" },
		{ "--verbose=maybe", "--verbose: \"maybe\" is neither true nor false" },
		{ "--no-count", "unknown flag --no-count, did you mean --count?" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct config config;
		size_t args = 0;
		struct err err = { 0 };
		char arg[64];
		(void)snprintf(arg, sizeof(arg), "%s", cases[i].arg);
		char *argv[] = { arg, NULL };
		assert_int_equal(parse(argv, 1, &config, &args, &err), ERR_INVAL);
		assert_string_equal(err.text, cases[i].sentence);
	}
}

static void prints_help_and_values(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf out = { 0 };
	struct config config;
	size_t args = 0;
	struct err err = { 0 };
	char no[] = "--no-verbose";
	char *argv[] = { no, NULL };

	flags_help(&command, &out);
	assert_non_null(strstr(buf_text(&out), "Usage: atoll try [flags] FILE..."));
	assert_non_null(strstr(buf_text(&out), "--wait=DURATION"));
	assert_non_null(strstr(buf_text(&out), "Default: 1m30s."));
	buf_reset(&out);
	assert_ok(parse(argv, 1, &config, &args, &err), err);
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		flag_format(&rows[i], &config, &out);
		buf_add_byte(&out, ' ');
	}
	assert_string_equal(buf_text(&out), "atoll.yml 127.0.0.1:1 false 7 1048576 1m30s table ");
}

static void takes_a_letter_for_a_flag_that_has_one(void **state) {
	(void)state;
	struct config config;
	size_t args = 0;
	bool is_json = false;
	struct err err = { 0 };
	char letter[] = "-o", json[] = "json", table[] = "-o=table", unknown[] = "-x", dash[] = "-";
	char *spaced[] = { letter, json, dash, NULL };
	char *joined[] = { table, NULL };
	char *wrong[] = { unknown, NULL };
	assert_ok(parse(spaced, 3, &config, &args, &err), err);
	assert_ok(output_is_json(config.output, &is_json, &err), err);
	assert_true(is_json);
	assert_int_equal(args, 1);
	assert_ok(parse(joined, 1, &config, &args, &err), err);
	assert_ok(output_is_json(config.output, &is_json, &err), err);
	assert_false(is_json);
	char *alone[] = { letter, NULL };
	assert_int_equal(parse(alone, 1, &config, &args, &err), ERR_INVAL);
	assert_int_equal(parse(wrong, 1, &config, &args, &err), ERR_INVAL);
	assert_int_equal(output_is_json("yaml", &is_json, &err), ERR_INVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(fills_defaults),
		TEST(reads_every_spelling),
		TEST(refuses_with_a_sentence),
		TEST(prints_help_and_values),
		TEST(takes_a_letter_for_a_flag_that_has_one),
	};
	return TEST_RUN(tests);
}
