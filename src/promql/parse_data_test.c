/* Expressions that real dashboards, rules and Prometheus' own tests use, from ATOLL_TESTDATA. */
#include "base/memory.h"
#include "base/test.h"
#include "cxx/json.h"
#include "promql/parse.h"
#include "promql/print.h"

#include <dirent.h>

static const struct parse_options everything = { true, true, true };

/* Fails the test unless the expression survives print, parse, print. */
static void check_survives(struct str text, const char *where) {
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

static void dashboards_survive_printing(void **state) {
	const char *data = test_data();
	struct json_document *document = NULL;
	struct json_iterator iterator;
	struct json_value item;
	struct err err = { 0 };
	struct buf text;
	char path[1024];
	int count = 0;

	(void)state;
	if (!data) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	(void)snprintf(path, sizeof(path), "%s/exprs/dashboards-core.json", data);
	text = read_file(path);
	assert_ok(json_document_new(buf_str(&text), &document, &err), err);
	iterator = json_iterate(json_root(document));
	while (json_next(&iterator, &item, NULL)) {
		check_survives(json_string(item), path);
		count++;
	}
	assert_true(count > 1000);
	json_document_free(document);
	buf_deinit(&text);
}

typedef void file_fn(const char *path, struct str text, int *count);

static void for_each_file(const char *folder, const char *ending, file_fn *visit, int *count) {
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
		visit(path, buf_str(&text), count);
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
static void check_rules(const char *path, struct str text, int *count) {
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
		check_survives(buf_str(&expr), path);
		buf_deinit(&expr);
		(*count)++;
	}
}

static void rules_survive_printing(void **state) {
	int count = 0;

	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	for_each_file("rules", "ml", check_rules, &count);
	assert_true(count > 200);
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
static void check_script(const char *path, struct str text, int *count) {
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
		check_survives(expr, path);
		(*count)++;
	}
}

static void test_scripts_parse(void **state) {
	int count = 0;

	(void)state;
	if (!test_data()) {
		TEST_SKIP("ATOLL_TESTDATA is not set");
	}
	for_each_file("promqltest", ".test", check_script, &count);
	assert_true(count > 1500);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(dashboards_survive_printing),
		TEST(rules_survive_printing),
		TEST(test_scripts_parse),
	};

	return TEST_RUN(tests);
}
