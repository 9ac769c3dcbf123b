#include "label/matcher.h"
#include "label/regex.h"
#include "label/regex_shape.h"

#include "base/rand.h"
#include "base/test.h"
#include "cxx/re2.h"

#include <inttypes.h>

static struct regex *compile(const char *pattern) {
	struct regex *regex = NULL;
	struct err err = { 0 };

	assert_ok(regex_new(str_of(pattern), &regex, &err), err);
	return regex;
}

static void matches_all_of_the_text_or_nothing(void **state) {
	const struct {
		const char *pattern;
		const char *text;
		bool matches;
	} cases[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "foo", "foo", true },
		{ "foo", "foobar", false },
		{ "foo|bar", "bar", true },
		{ "foo|bar", "foobar", false },
		{ "foo|", "", true },
		{ "foo.*", "foobar", true },
		{ "foo.*", "xfoo", false },
		{ "foo.+", "foo", false },
		{ "foo.+", "foox", true },
		{ ".*foo", "xfoo", true },
		{ ".+foo", "foo", false },
		{ ".*foo.*", "a foo b", true },
		{ ".+foo.+", "foofoo", false },
		{ ".+foo.+", "xfoox", true },
		{ ".+foo.+", "foofoofoo", true },
		{ ".*", "", true },
		{ ".*", "a\nb", true },
		{ ".+", "\n", true },
		{ ".+", "", false },
		{ "a.b", "a\nb", true },
		{ "10\\.0\\.0\\.1:9100", "10.0.0.1:9100", true },
		{ "10\\.0\\.0\\.1:9100", "10x0.0.1:9100", false },
		{ "node_(cpu|disk)_(a|b).*", "node_disk_b_seconds", true },
		{ "node_(cpu|disk)_(a|b).*", "node_disk_c", false },
		{ "(?:a|b)c", "bc", true },
		{ "(?i)FOO", "foo", true },
		{ "[a-c]+", "abcabc", true },
		{ "a{2}", "aa", true },
		{ "ab*", "a", true },
		{ "(ab)*", "abab", true },
		{ "(a|b)?", "", true },
		{ "^foo$", "foo", true },
		{ "\xc3\xa9.*", "\xc3\xa9t\xc3\xa9", true },
		{ "a|a.*|b", "abc", true },
		{ "api|(backend|web)-.+", "web-", false },
		{ "api|(backend|web)-.+", "web-1", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct regex *regex = compile(cases[i].pattern);
		if (regex_match(regex, str_of(cases[i].text)) != cases[i].matches) {
			fail_msg("%s against \"%s\" is not %d", cases[i].pattern, cases[i].text,
				cases[i].matches);
		}
		regex_free(regex);
	}
}

static void refuses_malformed_patterns_naming_them_as_written(void **state) {
	const char *const patterns[] = { "foo(", "a)(b", "foo)", "*a", "a**", "[a", "(?P<n", "\\8",
		"a{2000}", "(?=a)", "\xff" };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(patterns); i++) {
		struct regex *regex = NULL;
		struct err err = { 0 };
		if (regex_new(str_of(patterns[i]), &regex, &err) != ERR_INVAL) {
			fail_msg("%s is accepted", patterns[i]);
		}
		assert_null(regex);
		assert_true(err.text[0] != '\0');
		assert_null(strstr(err.text, "(?s)"));
	}
}

static void refuses_a_pattern_past_the_limit(void **state) {
	struct buf pattern = { 0 };
	struct regex *regex = NULL;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i <= REGEX_LEN_MAX; i++) {
		buf_add_byte(&pattern, 'a');
	}
	assert_int_equal(regex_new(buf_str(&pattern), &regex, &err), ERR_LIMIT);
	buf_deinit(&pattern);
}

static void names_its_literals_in_the_order_written(void **state) {
	struct regex *regex = compile("(web|api|web|cache\\.x)");
	struct regex *other = compile("web.*|api");
	size_t count = 0;
	const struct str *literals = regex_literals(regex, &count);

	(void)state;
	assert_int_equal(count, 3);
	assert_str_equal(literals[0], STR("web"));
	assert_str_equal(literals[1], STR("api"));
	assert_str_equal(literals[2], STR("cache.x"));
	assert_null(regex_literals(other, &count));
	assert_int_equal(count, 0);
	regex_free(regex);
	regex_free(other);
}

static void finds_one_of_many_literals(void **state) {
	struct buf pattern = { 0 };
	struct regex *regex;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		buf_printf(&pattern, "%spod-%d", i > 0 ? "|" : "", i);
	}
	regex = compile(buf_text(&pattern));
	assert_true(regex_match(regex, STR("pod-0")));
	assert_true(regex_match(regex, STR("pod-2999")));
	assert_false(regex_match(regex, STR("pod-3000")));
	assert_false(regex_match(regex, STR("pod-")));
	assert_str_equal(regex_prefix(regex), STR("pod-"));
	regex_free(regex);
	buf_deinit(&pattern);
}

static void names_the_prefix_of_every_match(void **state) {
	const struct {
		const char *pattern;
		const char *prefix;
	} cases[] = {
		{ "foo", "foo" },
		{ "foo.*", "foo" },
		{ "foo.*|foobar", "foo" },
		{ "foo|bar", "" },
		{ ".*foo", "" },
		{ "foo[0-9]+", "foo" },
		{ "foo\\.x[0-9]+", "foo.x" },
		{ "foob?ar", "foo" },
		{ "foob+[a]", "foob" },
		{ "foo[a]|bar", "" },
		{ "fo\xc3\xa9*a", "fo" },
		{ "foo(bar|b[a]z)", "" },
		{ "foo(bar|baz)?", "foo" },
		{ "fo{2}", "f" },
		{ "foo\\d|x", "" },
		{ "(?i)foo", "" },
		{ "foo\\Qx|y\\E", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct regex *regex = compile(cases[i].pattern);
		if (!str_equal(regex_prefix(regex), str_of(cases[i].prefix))) {
			fail_msg("%s: prefix \"%.*s\", not \"%s\"", cases[i].pattern,
				STR_ARG(regex_prefix(regex)), cases[i].prefix);
		}
		regex_free(regex);
	}
}

static void knows_what_matches_anything(void **state) {
	struct regex *all = compile(".*");
	struct regex *some = compile("(.+)");
	struct regex *both = compile(".+|");
	struct regex *neither = compile("a.*");

	(void)state;
	assert_true(regex_matches_all(all));
	assert_false(regex_matches_nonempty(all));
	assert_true(regex_matches_nonempty(some));
	assert_false(regex_matches_all(some));
	assert_false(regex_matches_nonempty(both));
	assert_false(regex_matches_all(neither));
	assert_false(regex_matches_nonempty(neither));
	regex_free(all);
	regex_free(some);
	regex_free(both);
	regex_free(neither);
}

static void expands_groups_as_go_does(void **state) {
	const struct {
		const char *pattern;
		const char *text;
		const char *replacement;
		const char *expected; /* NULL: no match */
	} cases[] = {
		{ "(.*)", "abc", "$1", "abc" },
		{ "(.*)", "abc", "<${1}>$0$$", "<abc>abc$" },
		{ "(.*)", "abc", "$1x-$10-${1}x", "--abcx" },
		{ "(.*)", "abc", "$-${-$", "$-${-$" },
		{ "(.*)", "abc", "${1", "${1" },
		{ "(.*)", "abc", "$01|$name|${}",
			"|"
			"|${}" },
		{ "([a-z]+)-([0-9]+)", "ab-12", "$2-$1", "12-ab" },
		{ "([a-z]+)-([0-9]+)", "ab-", "$2-$1", NULL },
		{ "(a)|(b)", "b", "[$1][$2]", "[][b]" },
		{ "(?P<host>[^:]+):(?P<port>.*)", "h:90", "${port}@$host", "90@h" },
		{ "x(a|b)y", "xby", "$1", "b" },
		{ "foo|bar", "bar", "$0 $1", "bar " },
		{ "(foo|bar)", "bar", "$1", "bar" },
		{ "(.*)", "abc", "$1\xc3\xa9.", "." },
		{ "(.*)", "abc", "$1\xe2\x86\x92", "abc\xe2\x86\x92" },
		{ "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)(m)(n)(o)(p)(q)(r)(s)(t)",
			"abcdefghijklmnopqrst", "$20$17", "tq" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct regex *regex = compile(cases[i].pattern);
		struct buf out = { 0 };
		bool matches = regex_expand(
			regex, str_of(cases[i].text), str_of(cases[i].replacement), &out);
		if (matches != (cases[i].expected != NULL) ||
			(matches && strcmp(buf_text(&out), cases[i].expected) != 0)) {
			fail_msg("%s on \"%s\" with %s gives \"%s\"", cases[i].pattern,
				cases[i].text, cases[i].replacement, buf_text(&out));
		}
		buf_deinit(&out);
		regex_free(regex);
	}
}

static void a_set_compiles_a_pattern_once(void **state) {
	struct regex_set set = { 0 };
	const struct regex *first = NULL;
	const struct regex *again = NULL;
	const struct regex *other = NULL;
	struct err err = { 0 };

	(void)state;
	assert_ok(regex_set_add(&set, STR("a[0-9]"), &first, &err), err);
	assert_ok(regex_set_add(&set, STR("b"), &other, &err), err);
	assert_ok(regex_set_add(&set, STR("a[0-9]"), &again, &err), err);
	assert_ptr_equal(first, again);
	assert_ptr_not_equal(first, other);
	assert_int_equal(regex_set_add(&set, STR("("), &other, &err), ERR_INVAL);
	regex_set_deinit(&set);
}

static void a_missing_label_is_the_empty_value(void **state) {
	const struct label pair = { STR("job"), STR("node") };
	const struct labels set = { &pair, 1 };
	struct regex *some = compile(".+");
	struct matcher matchers[] = {
		{ .op = MATCHER_EQUAL, .name = STR("job"), .value = STR("node") },
		{ .op = MATCHER_EQUAL, .name = STR("gone"), .value = STR("") },
		{ .op = MATCHER_NOT_REGEX, .name = STR("gone"), .value = STR(".+"), .regex = some },
		{ .op = MATCHER_REGEX, .name = STR("job"), .value = STR(".+"), .regex = some },
	};
	struct buf text = { 0 };

	(void)state;
	assert_true(matchers_match(matchers, 4, &set));
	assert_true(matcher_matches_empty(&matchers[1]));
	assert_true(matcher_matches_empty(&matchers[2]));
	assert_false(matcher_matches_empty(&matchers[3]));
	matchers[0].op = MATCHER_NOT_EQUAL;
	assert_false(matchers_match(matchers, 4, &set));
	matcher_format(&matchers[2], &text);
	assert_string_equal(buf_text(&text), "gone!~\".+\"");
	buf_deinit(&text);
	regex_free(some);
}

/* Random patterns of the characters that shapes are made of: the fast path and RE2 agree. */
static void shapes_agree_with_re2(void **state) {
	const char *const tokens[] = { "a", "b", "ab", "\\.", ".", ".*", ".+", "(", ")", "(?:", "|",
		"*", "+", "\xc3\xa9", "?", "\\-", "[ab]", "x" };
	const char *const texts[] = { "", "a", "b", "ab", "ba", "aab", "abab", ".", "a.b", "x",
		"ax", "xa", "\xc3\xa9", "a\xc3\xa9", "\303\251b", "a\nb", "-", "bab", "axb", "xx" };
	const char *seed_text = getenv("SEED"); // NOLINT(concurrency-mt-unsafe): tests only
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 20;
	size_t compared = 0;
	struct rand rand;

	(void)state;
	print_message("SEED=%" PRIu64 "\n", seed);
	rand_init(&rand, seed);
	for (int round = 0; round < 20000; round++) {
		struct buf pattern = { 0 };
		struct buf engine_pattern = { 0 };
		struct regex *regex = NULL;
		struct re2_pattern *engine = NULL;
		size_t count = 1 + rand_below(&rand, 8);
		int rc;

		for (size_t i = 0; i < count; i++) {
			buf_add_text(&pattern, tokens[rand_below(&rand, ARRAY_COUNT(tokens))]);
		}
		buf_printf(&engine_pattern, "(?s)%s", buf_text(&pattern));
		rc = re2_new(buf_str(&engine_pattern), &engine, NULL);
		if ((regex_new(buf_str(&pattern), &regex, NULL) < 0) != (rc < 0)) {
			fail_msg("%s: RE2 says %d", buf_text(&pattern), rc);
		}
		for (size_t i = 0; i < ARRAY_COUNT(texts) && rc >= 0; i++) {
			struct str text = str_of(texts[i]);
			bool matches = regex_match(regex, text);
			if (matches != re2_match_full(engine, text)) {
				fail_msg("%s against \"%s\": %d, RE2 says %d", buf_text(&pattern),
					texts[i], matches, !matches);
			}
			if (matches && !str_starts(text, regex_prefix(regex))) {
				fail_msg("%s: \"%s\" has no prefix \"%.*s\"", buf_text(&pattern),
					texts[i], STR_ARG(regex_prefix(regex)));
			}
			compared++;
		}
		re2_free(engine);
		regex_free(regex);
		buf_deinit(&pattern);
		buf_deinit(&engine_pattern);
	}
	assert_true(compared > 50000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(matches_all_of_the_text_or_nothing),
		TEST(refuses_malformed_patterns_naming_them_as_written),
		TEST(refuses_a_pattern_past_the_limit),
		TEST(names_its_literals_in_the_order_written),
		TEST(finds_one_of_many_literals),
		TEST(names_the_prefix_of_every_match),
		TEST(knows_what_matches_anything),
		TEST(expands_groups_as_go_does),
		TEST(a_set_compiles_a_pattern_once),
		TEST(a_missing_label_is_the_empty_value),
		TEST(shapes_agree_with_re2),
	};
	return TEST_RUN(tests);
}
