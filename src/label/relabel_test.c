#include "label/relabel.h"

#include "base/test.h"

/* "a=1,b=2" as a set, in the order of names. */
static struct labels parse(struct arena *arena, const char *text) {
	struct label pairs[32];
	struct str rest = str_of(text);
	struct labels set = { 0 };
	struct err err = { 0 };
	size_t count = 0;

	while (rest.len > 0) {
		struct str value = str_cut(&rest, ',');
		struct str name = str_cut(&value, '=');
		pairs[count++] = (struct label){ name, value };
	}
	assert_ok(labels_build(arena, pairs, count, &set, &err), err);
	return set;
}

static const struct str source_a[] = { { "a", 1 } };
static const struct str source_ab[] = { { "a", 1 }, { "b", 1 } };
#define A .source_labels = source_a, .source_count = 1
#define AB .source_labels = source_ab, .source_count = 2

struct apply_case {
	struct relabel_spec spec;
	const char *in;
	const char *expected; /* NULL: dropped */
};

static void check_case(const struct apply_case *test) {
	struct arena arena = { 0 };
	struct regex_set regexes = { 0 };
	struct relabel_rule rule;
	struct labels set = parse(&arena, test->in);
	struct buf text = { 0 };
	struct buf expected = { 0 };
	struct err err = { 0 };
	bool is_kept;

	assert_ok(relabel_rule_build(&test->spec, &regexes, &rule, &err), err);
	is_kept = relabel_apply(&rule, 1, &set, &arena, &set);
	if (is_kept != (test->expected != NULL)) {
		fail_msg("%s on %s: kept is %d", relabel_action_text(rule.action), test->in,
			is_kept);
	}
	if (is_kept) {
		struct labels wanted = parse(&arena, test->expected);
		labels_format(&set, &text);
		labels_format(&wanted, &expected);
		assert_string_equal(buf_text(&text), buf_text(&expected));
		assert_true(labels_equal(&set, &wanted));
	}
	buf_deinit(&text);
	buf_deinit(&expected);
	regex_set_deinit(&regexes);
	arena_deinit(&arena);
}

static void check_cases(const struct apply_case *cases, size_t count) {
	for (size_t i = 0; i < count; i++) {
		check_case(&cases[i]);
	}
}

static void replaces(void **state) {
	const struct apply_case cases[] = {
		{ { A, .target_label = STR("d") }, "a=foo", "a=foo,d=foo" },
		{ { A, .target_label = STR("d"), .regex = STR("f(.*)"),
			  .replacement = STR("x${1}y") },
			"a=foo,d=old", "a=foo,d=xooy" },
		{ { A, .target_label = STR("d"), .regex = STR("nope") }, "a=foo,d=old",
			"a=foo,d=old" },
		{ { AB, .target_label = STR("d"), .regex = STR("(.*);(.*)"),
			  .replacement = STR("$2-$1") },
			"a=1,b=2", "a=1,b=2,d=2-1" },
		{ { AB, .target_label = STR("d"), .separator = STR("/") }, "a=1", "a=1,d=1/" },
		{ { A, .target_label = STR("a"), .replacement = STR("") }, "a=1,b=2", "b=2" },
		{ { A, .target_label = STR("d"), .replacement = STR("") }, "a=1,b=2", "a=1,b=2" },
		{ { A, .target_label = STR("x_$1"), .replacement = STR("v") }, "a=1", "a=1,x_1=v" },
		{ { A, .target_label = STR("$1"), .replacement = STR("v") }, "b=1", "b=1" },
		{ { A, .target_label = STR("$1"), .replacement = STR("v") }, "a=my.label",
			"a=my.label,my.label=v" },
		{ { A, .target_label = STR("$1"), .replacement = STR("v"), .legacy_names = true },
			"a=my.label", "a=my.label" },
		{ { .target_label = STR("d"), .replacement = STR("static") }, "a=1",
			"a=1,d=static" },
		{ { .target_label = STR("d"), .replacement = STR("static") }, "", "d=static" },
	};

	(void)state;
	check_cases(cases, ARRAY_COUNT(cases));
}

static void keeps_and_drops(void **state) {
	const struct apply_case cases[] = {
		{ { A, .action = STR("keep"), .regex = STR("f.*") }, "a=foo", "a=foo" },
		{ { A, .action = STR("keep"), .regex = STR("f.*") }, "a=bar", NULL },
		{ { A, .action = STR("Keep"), .regex = STR("f.*") }, "b=bar", NULL },
		{ { A, .action = STR("keep"), .regex = STR("f.*|") }, "b=bar", "b=bar" },
		{ { A, .action = STR("drop"), .regex = STR("f.*") }, "a=foo", NULL },
		{ { A, .action = STR("drop"), .regex = STR("f") }, "a=foo", "a=foo" },
		{ { A, .action = STR("drop") }, "a=foo", NULL },
		{ { A, .action = STR("keepequal"), .target_label = STR("b") }, "a=1,b=1",
			"a=1,b=1" },
		{ { A, .action = STR("keepequal"), .target_label = STR("b") }, "a=1,b=2", NULL },
		{ { A, .action = STR("dropequal"), .target_label = STR("b") }, "a=1,b=1", NULL },
		{ { A, .action = STR("dropequal"), .target_label = STR("b") }, "a=1,b=2",
			"a=1,b=2" },
		{ { AB, .action = STR("dropequal"), .target_label = STR("c") }, "a=1,b=2,c=1;2",
			NULL },
	};

	(void)state;
	check_cases(cases, ARRAY_COUNT(cases));
}

/* The remainders are those that Prometheus gives: MD5's last eight bytes, big endian. */
static void hashmods_as_prometheus(void **state) {
	const struct apply_case cases[] = {
		{ { .source_labels = (const struct str[]){ STR("c") },
			  .source_count = 1,
			  .action = STR("hashmod"),
			  .target_label = STR("d"),
			  .modulus = 1000 },
			"a=foo,b=bar,c=baz", "a=foo,b=bar,c=baz,d=976" },
		{ { .source_labels = (const struct str[]){ STR("c") },
			  .source_count = 1,
			  .action = STR("hashmod"),
			  .target_label = STR("d"),
			  .modulus = 1000 },
			"a=foo,b=bar,c=foo\nbar", "a=foo,b=bar,c=foo\nbar,d=734" },
	};

	(void)state;
	check_cases(cases, ARRAY_COUNT(cases));
}

static void maps_drops_and_keeps_labels_by_name(void **state) {
	const struct apply_case cases[] = {
		{ { .action = STR("labelmap"), .regex = STR("meta_(.*)") }, "a=1,meta_x=y,meta_=z",
			"a=1,meta_x=y,meta_=z,x=y" },
		{ { .action = STR("labelmap"),
			  .regex = STR("meta_(.*)"),
			  .replacement = STR("t_$1") },
			"meta_a=1,meta_b=2,t_a=old", "meta_a=1,meta_b=2,t_a=1,t_b=2" },
		{ { .action = STR("labelmap"), .regex = STR("(.)"), .replacement = STR("all") },
			"a=1,b=2", "a=1,all=2,b=2" },
		{ { .action = STR("labeldrop"), .regex = STR("b.*") }, "a=1,b=2,bc=3", "a=1" },
		{ { .action = STR("labelkeep"), .regex = STR("b.*") }, "a=1,b=2,bc=3", "b=2,bc=3" },
		{ { .action = STR("labelkeep"), .regex = STR("z") }, "a=1,b=2,bc=3", "" },
	};

	(void)state;
	check_cases(cases, ARRAY_COUNT(cases));
}

static void changes_the_case_of_all_letters(void **state) {
	const struct apply_case cases[] = {
		{ { A, .action = STR("lowercase"), .target_label = STR("d") }, "a=FoO-1",
			"a=FoO-1,d=foo-1" },
		{ { A, .action = STR("uppercase"), .target_label = STR("a") }, "a=FoO-1",
			"a=FOO-1" },
		{ { A, .action = STR("lowercase"), .target_label = STR("a") },
			"a=\xc3\x84\xc3\x96 \xce\xa3 \xd0\x96 \xc4\xb0",
			"a=\xc3\xa4\xc3\xb6 \xcf\x83 \xd0\xb6 i" },
		{ { A, .action = STR("uppercase"), .target_label = STR("a") },
			"a=\xc3\xa4\xc3\x9f \xcf\x82 \xf0\x90\x90\xa8 \xe1\xbe\x80",
			"a=\xc3\x84\xc3\x9f \xce\xa3 \xf0\x90\x90\x80 \xe1\xbe\x88" },
		{ { A, .action = STR("uppercase"), .target_label = STR("a") }, "a=x\xff\xc3",
			"a=X\xef\xbf\xbd\xef\xbf\xbd" },
	};

	(void)state;
	check_cases(cases, ARRAY_COUNT(cases));
}

static void rules_see_what_earlier_ones_did(void **state) {
	const struct relabel_spec specs[] = {
		{ A, .target_label = STR("b"), .regex = STR("(.*)"), .replacement = STR("${1}1") },
		{ .source_labels = (const struct str[]){ STR("b") },
			.source_count = 1,
			.target_label = STR("c"),
			.replacement = STR("${1}2") },
		{ .action = STR("labeldrop"), .regex = STR("a|b") },
		{ .source_labels = (const struct str[]){ STR("c") },
			.source_count = 1,
			.action = STR("keep"),
			.regex = STR("x12") },
	};
	struct arena arena = { 0 };
	struct regex_set regexes = { 0 };
	struct relabel_rule rules[ARRAY_COUNT(specs)];
	struct labels set = parse(&arena, "a=x");
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(specs); i++) {
		assert_ok(relabel_rule_build(&specs[i], &regexes, &rules[i], &err), err);
	}
	assert_true(relabel_apply(rules, ARRAY_COUNT(specs), &set, &arena, &set));
	assert_int_equal(set.count, 1);
	assert_str_equal(labels_get(&set, STR("c")), STR("x12"));
	regex_set_deinit(&regexes);
	arena_deinit(&arena);
}

static void refuses_what_prometheus_refuses_in_its_words(void **state) {
	const struct {
		struct relabel_spec spec;
		const char *error;
	} cases[] = {
		{ { A, .action = STR("hashmod"), .target_label = STR("x") },
			"relabel configuration for hashmod requires non-zero modulus" },
		{ { A, .action = STR("replace") },
			"relabel configuration for replace action requires 'target_label' value" },
		{ { A, .action = STR("LOWERCASE") }, "relabel configuration for lowercase action "
						     "requires 'target_label' value" },
		{ { A, .target_label = STR("a.b"), .legacy_names = true },
			"\"a.b\" is invalid 'target_label' for replace action" },
		{ { A, .target_label = STR("$1-x"), .legacy_names = true },
			"\"$1-x\" is invalid 'target_label' for replace action" },
		{ { A, .target_label = STR("\xff") },
			"\"\\xff\" is invalid 'target_label' for replace action" },
		{ { A, .action = STR("uppercase"), .target_label = STR("${3}"),
			  .legacy_names = true },
			"\"${3}\" is invalid 'target_label' for uppercase action" },
		{ { A, .action = STR("lowercase"), .target_label = STR("x"),
			  .replacement = STR("y") },
			"'replacement' can not be set for lowercase action" },
		{ { .action = STR("labelmap"), .regex = STR("x"), .replacement = STR("") },
			"\"\" is invalid 'replacement' for labelmap action" },
		{ { .action = STR("labelmap"), .replacement = STR("a-$1"), .legacy_names = true },
			"\"a-$1\" is invalid 'replacement' for labelmap action" },
		{ { A, .action = STR("dropequal"), .target_label = STR("x"), .regex = STR("(.*)") },
			"dropequal action requires only 'source_labels' and `target_label`, and no "
			"other "
			"fields" },
		{ { A, .action = STR("keepequal"), .target_label = STR("x"),
			  .separator = STR(",") },
			"keepequal action requires only 'source_labels' and `target_label`, and no "
			"other "
			"fields" },
		{ { A, .action = STR("labeldrop"), .regex = STR("x") },
			"labeldrop action requires only 'regex', and no other fields" },
		{ { .action = STR("labelkeep"), .regex = STR("x"), .target_label = STR("y") },
			"labelkeep action requires only 'regex', and no other fields" },
		{ { .action = STR("nope") }, "unknown relabel action \"nope\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct regex_set regexes = { 0 };
		struct relabel_rule rule;
		struct err err = { 0 };
		assert_int_equal(
			relabel_rule_build(&cases[i].spec, &regexes, &rule, &err), ERR_INVAL);
		assert_string_equal(err.text, cases[i].error);
		regex_set_deinit(&regexes);
	}
}

static void takes_templates_as_classic_names(void **state) {
	const struct relabel_spec specs[] = {
		{ A, .target_label = STR("${1}_x"), .legacy_names = true },
		{ A, .target_label = STR("a1$1"), .legacy_names = true },
		{ .action = STR("labelmap"), .replacement = STR("label_${1}${2}") },
		{ .action = STR("labelmap"), .replacement = STR("$1"), .legacy_names = true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(specs); i++) {
		struct regex_set regexes = { 0 };
		struct relabel_rule rule;
		struct err err = { 0 };
		assert_ok(relabel_rule_build(&specs[i], &regexes, &rule, &err), err);
		regex_set_deinit(&regexes);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(replaces),
		TEST(keeps_and_drops),
		TEST(hashmods_as_prometheus),
		TEST(maps_drops_and_keeps_labels_by_name),
		TEST(changes_the_case_of_all_letters),
		TEST(rules_see_what_earlier_ones_did),
		TEST(refuses_what_prometheus_refuses_in_its_words),
		TEST(takes_templates_as_classic_names),
	};
	return TEST_RUN(tests);
}
