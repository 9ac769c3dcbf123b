#include "label/labels.h"

#include "base/rand.h"
#include "base/test.h"

#define L(name, value) ((struct label){ STR(name), STR(value) })

static struct labels build(struct arena *arena, const struct label *pairs, size_t count) {
	struct labels set = { 0 };
	struct err err = { 0 };

	assert_ok(labels_build(arena, pairs, count, &set, &err), err);
	return set;
}

static void assert_text(const struct labels *set, const char *expected) {
	struct buf text = { 0 };

	labels_format(set, &text);
	assert_string_equal(buf_text(&text), expected);
	buf_deinit(&text);
}

static void sorts_by_bytes_and_drops_empty_values(void **state) {
	const struct label pairs[] = { L("b", "2"), L("a", "1"), L("gone", ""), L("_", "u"),
		L("B", "cap") };
	struct arena arena = { 0 };
	struct labels set = build(&arena, pairs, 5);

	(void)state;
	assert_int_equal(set.count, 4);
	assert_text(&set, "{B=\"cap\", _=\"u\", a=\"1\", b=\"2\"}");
	arena_deinit(&arena);
}

static void copies_the_bytes_it_is_given(void **state) {
	char name[] = "job";
	char value[] = "node";
	const struct label pair = { str_of(name), str_of(value) };
	struct arena arena = { 0 };
	struct labels set = build(&arena, &pair, 1);

	(void)state;
	name[0] = 'X';
	value[0] = 'X';
	assert_str_equal(labels_get(&set, STR("job")), STR("node"));
	arena_deinit(&arena);
}

static void refuses_a_name_given_twice(void **state) {
	const struct label pairs[] = { L("a", "1"), L("b", "2"), L("a", "") };
	struct arena arena = { 0 };
	struct labels set = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(labels_build(&arena, pairs, 3, &set, &err), ERR_INVAL);
	assert_string_equal(err.text, "label \"a\" is given twice");
	assert_int_equal(set.count, 0);
	arena_deinit(&arena);
}

static void refuses_an_empty_name(void **state) {
	const struct label pair = L("", "1");
	struct arena arena = { 0 };
	struct labels set = { 0 };

	(void)state;
	assert_int_equal(labels_build(&arena, &pair, 1, &set, NULL), ERR_INVAL);
	arena_deinit(&arena);
}

static void refuses_more_labels_than_the_limit(void **state) {
	struct label pairs[LABELS_COUNT_MAX + 1];
	char names[LABELS_COUNT_MAX + 1][8];
	struct arena arena = { 0 };
	struct labels set = { 0 };

	(void)state;
	for (int i = 0; i <= LABELS_COUNT_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "l%d", i);
		pairs[i] = (struct label){ str_of(names[i]), STR("v") };
	}
	assert_int_equal(labels_build(&arena, pairs, LABELS_COUNT_MAX + 1, &set, NULL), ERR_LIMIT);
	assert_int_equal(labels_build(&arena, pairs, LABELS_COUNT_MAX, &set, NULL), 0);
	assert_int_equal(set.count, LABELS_COUNT_MAX);
	arena_deinit(&arena);
}

static void the_empty_set_is_usable(void **state) {
	struct arena arena = { 0 };
	struct labels empty = build(&arena, NULL, 0);
	struct labels copy = labels_copy(&arena, &empty);

	(void)state;
	assert_true(labels_equal(&empty, &copy));
	assert_int_equal(labels_cmp(&empty, &copy), 0);
	assert_text(&empty, "{}");
	arena_deinit(&arena);
}

static void orders_a_prefix_before_what_it_prefixes(void **state) {
	const struct label one[] = { L("a", "1") };
	const struct label two[] = { L("a", "1"), L("b", "1") };
	const struct label longer[] = { L("a", "10") };
	const struct label later[] = { L("b", "0") };
	struct arena arena = { 0 };
	struct labels sets[] = { build(&arena, one, 1), build(&arena, two, 2),
		build(&arena, longer, 1), build(&arena, later, 1) };

	(void)state;
	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < 4; j++) {
			int cmp = labels_cmp(&sets[i], &sets[j]);
			assert_int_equal((cmp > 0) - (cmp < 0), (i > j) - (i < j));
		}
	}
	arena_deinit(&arena);
}

static void hashes_tell_a_name_from_a_value(void **state) {
	const struct label one[] = { L("ab", "c") };
	const struct label two[] = { L("a", "bc") };
	struct arena arena = { 0 };
	struct labels a = build(&arena, one, 1);
	struct labels b = build(&arena, two, 1);

	(void)state;
	assert_true(labels_hash(&a) != labels_hash(&b));
	arena_deinit(&arena);
}

static void only_and_without_split_a_set(void **state) {
	const struct label pairs[] = { L("__name__", "m"), L("a", "1"), L("b", "2"), L("c", "3") };
	const struct str names[] = { STR("a"), STR("c"), STR("zzz") };
	struct arena arena = { 0 };
	struct labels set = build(&arena, pairs, 4);
	struct labels only = labels_only(&arena, &set, names, 3);
	struct labels without = labels_without(&arena, &set, names, 3);

	(void)state;
	assert_text(&only, "{a=\"1\", c=\"3\"}");
	assert_text(&without, "m{b=\"2\"}");
	assert_true(labels_hash_only(&set, names, 3) == labels_hash(&only));
	assert_true(labels_hash_without(&set, names, 3) == labels_hash(&without));
	arena_deinit(&arena);
}

static void with_sets_replaces_and_removes(void **state) {
	const struct label pairs[] = { L("b", "2"), L("d", "4") };
	const struct {
		const char *name;
		const char *value;
		const char *expected;
	} cases[] = {
		{ "a", "1", "{a=\"1\", b=\"2\", d=\"4\"}" },
		{ "b", "x", "{b=\"x\", d=\"4\"}" },
		{ "c", "3", "{b=\"2\", c=\"3\", d=\"4\"}" },
		{ "e", "5", "{b=\"2\", d=\"4\", e=\"5\"}" },
		{ "b", "", "{d=\"4\"}" },
		{ "d", "", "{b=\"2\"}" },
		{ "q", "", "{b=\"2\", d=\"4\"}" },
	};
	struct arena arena = { 0 };
	struct labels set = build(&arena, pairs, 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct labels changed =
			labels_with(&arena, &set, str_of(cases[i].name), str_of(cases[i].value));
		assert_text(&changed, cases[i].expected);
	}
	arena_deinit(&arena);
}

static void prints_metrics_as_prometheus_does(void **state) {
	const struct label name_only[] = { L("__name__", "up") };
	const struct label classic[] = { L("__name__", "up"), L("job", "a\"b\n") };
	const struct label utf8[] = { L("__name__", "my.metric"), L("lab.el", "x") };
	struct arena arena = { 0 };
	struct buf braces = { 0 };
	struct labels set = build(&arena, name_only, 1);

	(void)state;
	assert_text(&set, "up");
	set = build(&arena, classic, 2);
	assert_text(&set, "up{job=\"a\\\"b\\n\"}");
	labels_format_braces(&set, &braces);
	assert_string_equal(buf_text(&braces), "{__name__=\"up\", job=\"a\\\"b\\n\"}");
	set = build(&arena, utf8, 2);
	assert_text(&set, "{\"my.metric\", \"lab.el\"=\"x\"}");
	buf_deinit(&braces);
	arena_deinit(&arena);
}

static void tells_classic_names_from_others(void **state) {
	(void)state;
	assert_true(label_name_is_legacy(STR("_a9")));
	assert_false(label_name_is_legacy(STR("9a")));
	assert_false(label_name_is_legacy(STR("a:b")));
	assert_true(metric_name_is_legacy(STR(":a:b")));
	assert_false(metric_name_is_legacy(STR("")));
	assert_false(label_name_is_legacy(STR("\xc3\xa9")));
	assert_true(label_name_is_valid(STR("\xc3\xa9 with spaces")));
	assert_false(label_name_is_valid(STR("\xff")));
	assert_false(label_name_is_valid(STR("")));
}

/* Building from any order of the same pairs gives the same set. */
static void the_order_given_does_not_matter(void **state) {
	const struct label pairs[] = { L("a", "1"), L("b", "2"), L("c", "3"), L("d", "4"),
		L("e", "5"), L("f", "6") };
	struct arena arena = { 0 };
	struct labels expected = build(&arena, pairs, 6);
	struct rand rand;

	(void)state;
	rand_init(&rand, 1);
	for (int round = 0; round < 200; round++) {
		struct label shuffled[6];
		struct labels set;
		memcpy(shuffled, pairs, sizeof(pairs));
		for (size_t i = 5; i > 0; i--) {
			size_t j = rand_below(&rand, i + 1);
			struct label swap = shuffled[i];
			shuffled[i] = shuffled[j];
			shuffled[j] = swap;
		}
		set = build(&arena, shuffled, 6);
		assert_true(labels_equal(&set, &expected));
		assert_true(labels_hash(&set) == labels_hash(&expected));
		assert_int_equal(labels_cmp(&set, &expected), 0);
	}
	arena_deinit(&arena);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(sorts_by_bytes_and_drops_empty_values),
		TEST(copies_the_bytes_it_is_given),
		TEST(refuses_a_name_given_twice),
		TEST(refuses_an_empty_name),
		TEST(refuses_more_labels_than_the_limit),
		TEST(the_empty_set_is_usable),
		TEST(orders_a_prefix_before_what_it_prefixes),
		TEST(hashes_tell_a_name_from_a_value),
		TEST(only_and_without_split_a_set),
		TEST(with_sets_replaces_and_removes),
		TEST(prints_metrics_as_prometheus_does),
		TEST(tells_classic_names_from_others),
		TEST(the_order_given_does_not_matter),
	};
	return TEST_RUN(tests);
}
