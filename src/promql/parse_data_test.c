/*
 * Expressions that real dashboards, rules and Prometheus' own tests use, from ATOLL_TESTDATA: they
 * survive printing, and evaluate.
 */
#include "base/memory.h"
#include "base/test.h"
#include "cxx/json.h"
#include "promql/engine.h"
#include "promql/parse.h"
#include "promql/print.h"
#include "store/test_store.h"

#include <dirent.h>

static const struct parse_options everything = { true, true, true };

/* What is done to each expression that is found. */
struct visit {
	void (*check)(struct visit *visit, struct str text, const char *where);
	size_t count;
	size_t answered; /* With any value. */
	size_t refused;  /* The data does not fit the expression: duplicates where one is wanted. */
};

/* Fails the test unless the expression survives print, parse, print. */
static void check_survives(struct visit *visit, struct str text, const char *where) {
	struct expr_tree first = { 0 };
	struct expr_tree second = { 0 };
	struct err err = { 0 };
	struct buf once = { 0 };
	struct buf twice = { 0 };

	if (promql_parse(text, &everything, &first, &err) < 0) {
		fail_msg("%s: %.*s: %s", where, STR_ARG(text), err.text);
	}
	expr_print(first.root, &once);
	if (promql_parse(buf_str(&once), &everything, &second, &err) < 0) {
		fail_msg("%s: %.*s prints as %s: %s", where, STR_ARG(text), buf_text(&once),
			err.text);
	}
	expr_print(second.root, &twice);
	assert_str_equal(buf_str(&once), buf_str(&twice));
	expr_tree_deinit(&first);
	expr_tree_deinit(&second);
	buf_deinit(&once);
	buf_deinit(&twice);
	visit->count++;
}

/* A value that the matcher takes, if one is easily found. */
static struct str find_value(const struct matcher *matcher) {
	static const char *const some[] = { "x", "1", "200", "500", "GET", "sda", "eth0", "/", "" };
	struct str rest = matcher->value;

	if (matcher_matches(matcher, matcher->value)) {
		return matcher->value;
	}
	while (rest.ptr) {
		struct str part = str_cut(&rest, '|');

		if (matcher_matches(matcher, part)) {
			return part;
		}
	}
	for (size_t i = 0; i < ARRAY_COUNT(some); i++) {
		if (matcher_matches(matcher, str_of(some[i]))) {
			return str_of(some[i]);
		}
	}
	return (struct str){ 0 };
}

static bool has_label(const struct label *pairs, size_t count, struct str name) {
	for (size_t i = 0; i < count; i++) {
		if (str_equal(pairs[i].name, name)) {
			return true;
		}
	}
	return false;
}

/* Adds a counter that grows by 'step' each 30 s for two hours, with the labels that the selector
 * wants, and with "le" unless it wants one. */
static void add_series(
	struct test_store *store, const struct selector *selector, const char *le, double step) {
	struct label *pairs = MEMORY_NEW(struct label, selector->matcher_count + 1);
	struct test_series *series;
	struct labels labels;
	struct arena arena = { 0 };
	struct err err = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *matcher = &selector->matchers[i];

		if (!has_label(pairs, count, matcher->name)) {
			pairs[count++] = (struct label){ matcher->name, find_value(matcher) };
		}
	}
	if (!has_label(pairs, count, STR("le"))) {
		pairs[count++] = (struct label){ STR("le"), str_of(le) };
	}
	assert_ok(labels_build(&arena, pairs, count, &labels, &err), err);
	series = test_store_series(store, &labels);
	for (int64_t i = 0; i < 240 && series->samples.count < 240; i++) {
		test_series_add(series, i * 30000 + 7, (double)i * step);
	}
	free(pairs);
	arena_deinit(&arena);
}

static bool add_selector(struct expr *expr, void *context) {
	if (expr->kind == EXPR_SELECTOR) {
		add_series(context, &expr->u.selector, "", 1);
		if (str_ends(expr->u.selector.metric_name, STR("_bucket"))) {
			add_series(context, &expr->u.selector, "0.1", 2);
			add_series(context, &expr->u.selector, "+Inf", 3);
		}
	}
	return true;
}

/* Evaluates over series of the expression's own selectors. Only data may be the reason why not. */
static void evaluate(struct visit *visit, struct str text, const char *where,
	struct test_store *store, const struct query_params *params) {
	static const char *const reasons[] = { "found duplicate series for the match group",
		"multiple matches for labels",
		"vector cannot contain metrics with the same labelset" };
	const struct engine_options options = { .lookback_ms = 300000,
		.default_subquery_step_ms = 60000,
		.samples_max = 50000000,
		.query_bytes_max = 1 << 30,
		.process_bytes_max = 1 << 30,
		.parse = everything };
	struct expr_tree tree = { 0 };
	struct arena arena = { 0 };
	struct query_result result = { 0 };
	struct clock clock;
	struct engine *engine;
	struct err err = { 0 };
	bool is_data = false;
	int rc;

	clock_init_manual(&clock, 1000);
	engine = engine_new(&options, &clock);
	assert_ok(promql_parse(text, &everything, &tree, &err), err);
	rc = engine_eval(engine, &store->store, &tree, params, &arena, &result, &err);
	for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
		is_data |= strstr(err.text, reasons[i]) != NULL;
	}
	if (rc < 0 && !is_data) {
		fail_msg("%s: %.*s: %s", where, STR_ARG(text), err.text);
	}
	visit->refused += rc < 0;
	visit->answered += rc == 0 && (result.steps.count > 0 || result.raw_count > 0);
	visit->count++;
	expr_tree_deinit(&tree);
	arena_deinit(&arena);
	engine_free(engine);
}

static void check_evaluates(struct visit *visit, struct str text, const char *where) {
	const struct query_params instant = { .grid = { 7000000, 0, 1 } };
	const struct query_params range = { .grid = { 4000000, 300000, 11 }, .is_range = true };
	struct test_store store;
	struct expr_tree tree = { 0 };
	struct err err = { 0 };

	test_store_init(&store);
	assert_ok(promql_parse(text, &everything, &tree, &err), err);
	expr_walk(tree.root, add_selector, &store);
	evaluate(visit, text, where, &store, &instant);
	if (expr_unparen(tree.root)->type != VALUE_MATRIX &&
		expr_unparen(tree.root)->type != VALUE_STRING) {
		evaluate(visit, text, where, &store, &range);
	}
	expr_tree_deinit(&tree);
	test_store_deinit(&store);
}

static void tell(const char *what, const struct visit *visit) {
	(void)printf("%s: %zu evaluations, %zu with values, %zu refused for duplicates\n", what,
		visit->count, visit->answered, visit->refused);
}

static struct buf read_file(const char *path) {
	struct buf text = { 0 };
	FILE *file = fopen(path, "rb");
	size_t got;

	if (!file) {
		fail_msg("%s cannot be opened", path);
	}
	do {
		char *to = buf_reserve(&text, 65536);

		got = fread(to, 1, 65536, file);
		text.len += got;
	} while (got > 0);
	(void)fclose(file);
	(void)buf_reserve(&text, 1);
	return text;
}

static void visit_dashboards(struct visit *visit) {
	struct json_document *document = NULL;
	struct json_iterator iterator;
	struct json_value item;
	struct err err = { 0 };
	struct buf text;
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/exprs/dashboards-core.json", test_data());
	text = read_file(path);
	assert_ok(json_document_new(buf_str(&text), &document, &err), err);
	iterator = json_iterate(json_root(document));
	while (json_next(&iterator, &item, NULL)) {
		visit->check(visit, json_string(item), path);
	}
	json_document_free(document);
	buf_deinit(&text);
}

static void dashboards_survive_printing(void **state) {
	struct visit visit = { .check = check_survives };

	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	visit_dashboards(&visit);
	assert_true(visit.count > 1000);
}

static void dashboards_evaluate(void **state) {
	struct visit visit = { .check = check_evaluates };

	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	visit_dashboards(&visit);
	tell("dashboards", &visit);
	assert_true(visit.answered > visit.count / 2);
}

typedef void file_fn(const char *path, struct str text, struct visit *visit);

static void for_each_file(
	const char *folder, const char *ending, file_fn *read, struct visit *visit) {
	char path[1024];
	struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/%s", test_data(), folder);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		struct buf text;

		if (!str_ends(str_of(entry->d_name), str_of(ending))) {
			continue;
		}
		(void)snprintf(path, sizeof(path), "%s/%s/%s", test_data(), folder, entry->d_name);
		text = read_file(path);
		read(path, buf_str(&text), visit);
		buf_deinit(&text);
	}
	(void)closedir(dir);
}

static size_t indent_of(struct str line) {
	size_t indent = 0;

	while (indent < line.len && line.ptr[indent] == ' ') {
		indent++;
	}
	return indent;
}

/* The lines of a block scalar: all that stand deeper than 'indent', from '*rest' on. */
static void read_block(struct str *rest, size_t indent, struct buf *out) {
	while (rest->len > 0) {
		struct str ahead = *rest;
		struct str line = str_cut(&ahead, '\n');

		if (str_trim(line).len > 0 && indent_of(line) <= indent) {
			return;
		}
		buf_add_str(out, line);
		buf_add_byte(out, '\n');
		*rest = ahead;
	}
}

/* A plain or quoted scalar, with the lines that continue it. */
static void read_scalar(struct str value, struct str *rest, size_t indent, struct buf *out) {
	bool is_quoted = value.len > 1 && (value.ptr[0] == '\'' || value.ptr[0] == '"');
	struct buf all = { 0 };
	struct str text;

	buf_add_str(&all, value);
	buf_add_byte(&all, ' ');
	read_block(rest, indent, &all);
	text = str_trim(buf_str(&all));
	if (is_quoted) {
		text = (struct str){ text.ptr + 1, text.len - 2 };
	}
	for (size_t i = 0; i < text.len; i++) {
		/* A quote is doubled in single quotes, escaped in double ones. */
		if (is_quoted && (text.ptr[i] == '\'' || text.ptr[i] == '\\') && i + 1 < text.len &&
			(text.ptr[i + 1] == '\'' || text.ptr[i + 1] == '"')) {
			i++;
		}
		buf_add_byte(out, text.ptr[i]);
	}
	buf_deinit(&all);
}

/* Only as much YAML as rule files use for 'expr'; reading rules is another folder's business. */
static void read_rules(const char *path, struct str text, struct visit *visit) {
	struct str rest = text;

	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');
		size_t indent = indent_of(line);
		struct str key = str_from(line, indent);
		struct buf expr = { 0 };

		if (str_starts(key, STR("- "))) {
			indent += 2;
			key = str_from(line, indent);
		}
		if (!str_starts(key, STR("expr:"))) {
			continue;
		}
		key = str_trim(str_from(key, 5));
		if (key.len > 0 && (key.ptr[0] == '|' || key.ptr[0] == '>')) {
			read_block(&rest, indent, &expr);
		} else {
			read_scalar(key, &rest, indent, &expr);
		}
		visit->check(visit, buf_str(&expr), path);
		buf_deinit(&expr);
	}
}

static void rules_survive_printing(void **state) {
	struct visit visit = { .check = check_survives };

	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	for_each_file("rules", "ml", read_rules, &visit);
	assert_true(visit.count > 200);
}

static void rules_evaluate(void **state) {
	struct visit visit = { .check = check_evaluates };

	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	for_each_file("rules", "ml", read_rules, &visit);
	tell("rules", &visit);
	assert_true(visit.count > 400);
}

/* Skips 'words' words. */
static struct str skip_words(struct str line, int words) {
	while (words-- > 0) {
		(void)str_cut(&line, ' ');
		line = str_trim(line);
	}
	return line;
}

/* eval [instant at T | range from A to B step S] EXPR; failing ones stand with "expect fail". */
static void read_script(const char *path, struct str text, struct visit *visit) {
	struct str rest = text;

	while (rest.len > 0) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		struct str ahead = rest;
		struct str after = str_trim(str_cut(&ahead, '\n'));
		struct str expr;

		if (!str_starts(line, STR("eval")) || str_starts(line, STR("eval_fail")) ||
			str_starts(after, STR("expect fail"))) {
			continue;
		}
		expr = skip_words(line, 1);
		expr = skip_words(expr, str_starts(expr, STR("instant")) ? 3 : 7);
		visit->check(visit, expr, path);
	}
}

static void test_scripts_parse(void **state) {
	struct visit visit = { .check = check_survives };

	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	for_each_file("promqltest", ".test", read_script, &visit);
	assert_true(visit.count > 1500);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(dashboards_survive_printing),
		TEST(dashboards_evaluate),
		TEST(rules_survive_printing),
		TEST(rules_evaluate),
		TEST(test_scripts_parse),
	};

	return TEST_RUN(tests);
}
