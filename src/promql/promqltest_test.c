/*
 * Runs scripts of PromQL tests: our own in testdata/, and Prometheus' conformance suite where
 * ATOLL_TESTDATA has it. Each evaluation counts as a test.
 *
 * As Prometheus' own runner does, each instant evaluation is run again as the middle of a range,
 * and with @ at all selectors at other times. Evaluations that touch start timestamps, which the
 * store does not hold, and those of functions that are not built are skipped, and counted per file.
 */
#include "promql/engine.h"
#include "promql/function.h"
#include "promql/test_histogram.h"
#include "promql/test_script.h"

#include "base/check.h"
#include "base/test.h"
#include "store/test_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_SCRIPTS "src/promql/testdata"
#define TOLERANCE 0.000001
#define LINES_MAX 20000

enum outcome {
	PASSED,
	FAILED,
	SKIPPED
};

struct tally {
	size_t count[3];
};

struct runner {
	const char *path;
	struct engine *engine;
	struct test_store store;
	struct arena arena; /* Of the script. */
	struct str *lines;
	size_t line_count;
	size_t line;
	/* Series that hold more than floats, and so are not as the script means them. */
	struct labels *foreign;
	size_t foreign_count;
	struct tally tally;
	const char *only; /* A line to run alone, for debugging. */
};

/* Comparing. */

static bool almost_equal(double a, double b) {
	double sum = fabs(a) + fabs(b);
	double difference = fabs(a - b);

	if (is_stale(a) || is_stale(b)) {
		return is_stale(a) && is_stale(b);
	}
	if ((isnan(a) && isnan(b)) || a == b) {
		return true;
	}
	if (a == 0 || b == 0 || sum < 0x1p-1022) {
		return difference < TOLERANCE * 0x1p-1022;
	}
	return difference / (sum < 0x1.fffffffffffffp1023 ? sum : 0x1.fffffffffffffp1023) <
	       TOLERANCE;
}

static const struct script_series *find_series(
	const struct script_eval *eval, const struct labels *labels) {
	for (size_t i = 0; i < eval->series_count; i++) {
		if (labels_equal(&eval->series[i].labels, labels)) {
			return &eval->series[i];
		}
	}
	return NULL;
}

static bool expects(const struct script_eval *eval, enum expect_kind kind) {
	for (size_t i = 0; i < eval->expect_count; i++) {
		if (eval->expects[i].kind == kind) {
			return true;
		}
	}
	return false;
}

/* Whether a note or an error is what an expectation describes. */
static bool expect_matches(const struct script_expect *expect, struct str text) {
	AUTO(buf_deinit) struct buf pattern = { 0 };
	struct regex *regex;
	struct err err;
	bool matches;

	if (expect->text.len == 0) {
		return true;
	}
	if (!expect->is_regex) {
		return str_equal(expect->text, text);
	}
	buf_printf(&pattern, ".*(?:%.*s).*", STR_ARG(expect->text));
	CHECK(regex_new(buf_str(&pattern), &regex, &err) == 0);
	matches = regex_match(regex, text);
	regex_free(regex);
	return matches;
}

static int check_notes_of(const struct script_eval *eval, const struct annotations *notes,
	bool is_info, struct err *err) {
	enum expect_kind wanted = is_info ? EXPECT_INFO : EXPECT_WARN;
	enum expect_kind unwanted = is_info ? EXPECT_NO_INFO : EXPECT_NO_WARN;

	for (size_t i = 0; i < eval->expect_count; i++) {
		bool is_met = eval->expects[i].kind != wanted;

		for (size_t k = 0; k < notes->count && !is_met; k++) {
			is_met = notes->items[k].is_info == is_info &&
				 expect_matches(&eval->expects[i], notes->items[k].text);
		}
		if (!is_met) {
			return err_set(err, ERR_INVAL, "no note \"%.*s\", but %zu others: %.*s",
				STR_ARG(eval->expects[i].text), notes->count,
				notes->count ? (int)notes->items[0].text.len : 0,
				notes->count ? notes->items[0].text.ptr : "");
		}
	}
	for (size_t k = 0; k < notes->count; k++) {
		bool is_expected = !expects(eval, wanted) && !expects(eval, unwanted);

		if (notes->items[k].is_info != is_info) {
			continue;
		}
		for (size_t i = 0; i < eval->expect_count && !is_expected; i++) {
			is_expected = eval->expects[i].kind == wanted &&
				      expect_matches(&eval->expects[i], notes->items[k].text);
		}
		if (!is_expected) {
			return err_set(err, ERR_INVAL, "unexpected note: %.*s",
				STR_ARG(notes->items[k].text));
		}
	}
	return 0;
}

static void format_column(const struct step_column *column, size_t step_count, struct buf *out) {
	labels_format(&column->labels, out);
	for (size_t i = 0; i < step_count; i++) {
		if (step_present(column, i) && column->histograms && column->histograms[i]) {
			buf_printf(out, " @%zu hint %d schema %d ", i,
				(int)column->histograms[i]->hint, column->histograms[i]->schema);
			histogram_format(column->histograms[i], out);
		} else if (step_present(column, i)) {
			buf_printf(out, " %.17g@%zu", column->values[i], i);
		}
	}
}

static bool value_matches(
	const struct script_value *wanted, double value, const struct histogram *histogram) {
	if (wanted->histogram || histogram) {
		return wanted->histogram && histogram &&
		       test_histogram_equal(wanted, histogram, almost_equal);
	}
	return almost_equal(wanted->value, value);
}

/* Whether the column has just the values of the series, 'per' of its steps being one of them. */
static bool values_match(const struct step_column *column, const struct steps *steps,
	const struct script_series *series) {
	for (size_t i = 0; i < steps->grid.count; i++) {
		const struct script_value *value = i < series->count ? &series->values[i] : NULL;
		bool is_wanted = value && !value->is_omitted;

		if (is_wanted != step_present(column, i) ||
			(is_wanted && !value_matches(value, column->values[i],
					      column->histograms ? column->histograms[i] : NULL))) {
			return false;
		}
	}
	return series->count <= steps->grid.count;
}

static int compare_steps(
	const struct script_eval *eval, const struct query_result *result, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	const struct steps *steps = &result->steps;

	for (size_t i = 0; i < steps->count; i++) {
		const struct step_column *column = &steps->columns[i];
		const struct script_series *series = find_series(eval, &column->labels);
		bool is_in_place = !expects(eval, EXPECT_ORDERED) || series == &eval->series[i];

		if (eval->is_range && i > 0 &&
			labels_cmp(&steps->columns[i - 1].labels, &column->labels) >= 0) {
			return err_set(err, ERR_INVAL, "the result is not sorted");
		}
		if (!series || !is_in_place || !values_match(column, steps, series)) {
			format_column(column, steps->grid.count, &text);
			return err_set(err, ERR_INVAL, "%s: %s",
				!series        ? "unexpected"
				: !is_in_place ? "in the wrong place"
					       : "wrong",
				buf_text(&text));
		}
	}
	if (steps->count == eval->series_count) {
		return 0;
	}
	for (size_t i = 0; i < steps->count; i++) {
		buf_add_byte(&text, ' ');
		format_column(&steps->columns[i], steps->grid.count, &text);
	}
	return err_set(err, ERR_INVAL, "%zu series, not %zu:%s", steps->count, eval->series_count,
		buf_text(&text));
}

static int compare_raw(
	const struct script_eval *eval, const struct query_result *result, struct err *err) {
	for (size_t i = 0; i < result->raw_count; i++) {
		const struct raw_series *raw = &result->raw[i];
		const struct script_series *series = find_series(eval, &raw->labels);
		size_t next = 0;

		for (size_t k = 0; series && k < series->count; k++) {
			int64_t time_ms = eval->matrix_start_ms + (int64_t)k * eval->matrix_step_ms;

			if (series->values[k].is_omitted) {
				continue;
			}
			if (next == raw->count || raw->times_ms[next] != time_ms ||
				!value_matches(&series->values[k], raw->values[next],
					raw->histograms ? raw->histograms[next] : NULL)) {
				return err_set(err, ERR_INVAL, "sample %zu is wrong", k);
			}
			next++;
		}
		if (!series || next != raw->count) {
			return err_set(err, ERR_INVAL, "unexpected series or sample");
		}
	}
	return result->raw_count == eval->series_count
		       ? 0
		       : err_set(err, ERR_INVAL, "%zu series, not %zu", result->raw_count,
				 eval->series_count);
}

static int compare(
	const struct script_eval *eval, const struct query_result *result, struct err *err) {
	switch (result->type) {
	case VALUE_SCALAR:
		if (eval->is_range) {
			return compare_steps(eval, result, err);
		}
		if (!eval->has_scalar ||
			!almost_equal(eval->scalar, result->steps.columns[0].values[0])) {
			return err_set(
				err, ERR_INVAL, "scalar %.17g", result->steps.columns[0].values[0]);
		}
		return 0;
	case VALUE_VECTOR:
		return eval->has_scalar ? err_set(err, ERR_INVAL, "a vector, not a scalar")
					: compare_steps(eval, result, err);
	case VALUE_MATRIX:
		return compare_raw(eval, result, err);
	case VALUE_STRING:
		return eval->has_string && str_equal(eval->string, result->string)
			       ? 0
			       : err_set(err, ERR_INVAL, "string \"%.*s\"",
					 STR_ARG(result->string));
	case VALUE_NONE:
		break;
	}
	return err_set(err, ERR_INVAL, "no value");
}

/* Evaluating. */

struct pin {
	int64_t time_ms;
	bool is_unsafe;
};

static void pin_shift(struct time_shift *shift, int64_t time_ms) {
	if (shift->at != AT_TIME) {
		shift->at = AT_TIME;
		shift->at_ms = time_ms;
	}
}

/* Puts @ at every selector that has none and at no subquery above it. */
static bool pin_visit(struct expr *expr, void *context) {
	static const enum function_id unsafe[] = { FUNCTION_DAYS_IN_MONTH, FUNCTION_DAY_OF_MONTH,
		FUNCTION_DAY_OF_WEEK, FUNCTION_DAY_OF_YEAR, FUNCTION_END, FUNCTION_HOUR,
		FUNCTION_MINUTE, FUNCTION_MONTH, FUNCTION_YEAR, FUNCTION_PREDICT_LINEAR,
		FUNCTION_RANGE, FUNCTION_START, FUNCTION_STEP, FUNCTION_TIME, FUNCTION_TIMESTAMP };
	struct pin *pin = context;

	if (expr->kind == EXPR_SELECTOR) {
		pin_shift(&expr->u.selector.shift, pin->time_ms);
	} else if (expr->kind == EXPR_SUBQUERY) {
		pin_shift(&expr->u.subquery.shift, pin->time_ms);
		return false;
	}
	for (size_t i = 0; expr->kind == EXPR_CALL && i < ARRAY_COUNT(unsafe); i++) {
		pin->is_unsafe |= expr->u.call.function->id == unsafe[i];
	}
	return true;
}

struct foreign_search {
	const struct runner *runner;
	bool found;
};

static bool foreign_visit(struct expr *expr, void *context) {
	struct foreign_search *search = context;

	for (size_t i = 0; expr->kind == EXPR_SELECTOR && i < search->runner->foreign_count; i++) {
		search->found |= matchers_match(expr->u.selector.matchers,
			expr->u.selector.matcher_count, &search->runner->foreign[i]);
	}
	return true;
}

/* One way to run an evaluation. */
struct variant {
	int64_t time_ms;
	bool is_pinned; /* With @ at eval->start_ms. */
	bool in_range;  /* As the middle of three steps. */
};

static int evaluate(struct runner *runner, const struct script_eval *eval,
	const struct variant *variant, struct arena *arena, struct query_result *result,
	struct err *err) {
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct query_params params = { .is_range = eval->is_range || variant->in_range };
	struct pin pin = { .time_ms = eval->start_ms };
	int rc = promql_parse(eval->query, &script_parse_options, &tree, err);

	if (rc < 0) {
		return rc;
	}
	if (variant->is_pinned) {
		expr_walk(tree.root, pin_visit, &pin);
	}
	if (eval->is_range) {
		params.grid = (struct grid){ eval->start_ms, eval->step_ms,
			(size_t)((eval->end_ms - eval->start_ms) / eval->step_ms) + 1 };
		params.end_ms = eval->end_ms;
	} else if (variant->in_range) {
		params.grid = (struct grid){ variant->time_ms - 60000, 60000, 3 };
	} else {
		params.grid = (struct grid){ variant->time_ms, 0, 1 };
	}
	return engine_eval(
		runner->engine, &runner->store.store, &tree, &params, arena, result, err);
}

/* Only the middle step of a range of three. */
static void take_middle(struct query_result *result) {
	size_t kept = 0;

	for (size_t i = 0; i < result->steps.count; i++) {
		struct step_column *column = &result->steps.columns[i];

		if (step_present(column, 1)) {
			column->values[0] = column->values[1];
			if (column->histograms) {
				column->histograms[0] = column->histograms[1];
			}
			column->present[0] = 1;
			result->steps.columns[kept++] = *column;
		}
	}
	result->steps.count = kept;
	result->steps.grid.count = 1;
}

static enum outcome report(const struct runner *runner, const struct script_eval *eval,
	const struct variant *variant, const struct err *err) {
	(void)printf("FAIL %s:%zu: %.*s%s%s (at %lld): %s\n", runner->path, eval->line,
		STR_ARG(eval->query), variant->is_pinned ? " with @" : "",
		variant->in_range ? " in a range" : "", (long long)variant->time_ms, err->text);
	return FAILED;
}

static enum outcome run_variant(
	struct runner *runner, const struct script_eval *eval, const struct variant *variant) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct query_result result = { 0 };
	struct err err = { 0 };
	int rc = evaluate(runner, eval, variant, &arena, &result, &err);

	CHECK(runner->store.open_sets == 0);
	if (rc == ERR_ABSENT) {
		return SKIPPED;
	}
	if (rc < 0) {
		for (size_t i = 0; i < eval->expect_count; i++) {
			if (eval->expects[i].kind == EXPECT_FAIL &&
				expect_matches(&eval->expects[i], str_of(err.text))) {
				return PASSED;
			}
		}
		return report(runner, eval, variant, &err);
	}
	if (expects(eval, EXPECT_FAIL)) {
		(void)err_set(&err, ERR_INVAL, "did not fail");
		return report(runner, eval, variant, &err);
	}
	if (variant->in_range) {
		if (expects(eval, EXPECT_ORDERED)) {
			return PASSED;
		}
		take_middle(&result);
	} else {
		rc = check_notes_of(eval, &result.notes, true, &err);
		rc = rc < 0 ? rc : check_notes_of(eval, &result.notes, false, &err);
	}
	rc = rc < 0 ? rc : compare(eval, &result, &err);
	return rc < 0 ? report(runner, eval, variant, &err) : PASSED;
}

/* An instant evaluation, and the same in a range around it. */
static enum outcome run_instant(
	struct runner *runner, const struct script_eval *eval, struct variant variant) {
	enum outcome outcome = run_variant(runner, eval, &variant);

	if (outcome != PASSED || eval->has_matrix || eval->has_string ||
		expects(eval, EXPECT_FAIL)) {
		return outcome;
	}
	for (const char *word = "start()\0end()\0range()\0step()\0"; *word;
		word += strlen(word) + 1) {
		if (memmem(eval->query.ptr, eval->query.len, word, strlen(word))) {
			return outcome;
		}
	}
	variant.in_range = true;
	return run_variant(runner, eval, &variant);
}

/* Whether @ may be put at the query's selectors without changing what it means. */
static bool can_pin(const struct script_eval *eval) {
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct pin pin = { 0 };
	struct err err;

	if (promql_parse(eval->query, &script_parse_options, &tree, &err) < 0) {
		return false;
	}
	expr_walk(tree.root, pin_visit, &pin);
	return !pin.is_unsafe;
}

static enum outcome run_all(struct runner *runner, const struct script_eval *eval) {
	int64_t at = eval->start_ms;
	int64_t others[] = { at ? -10 * at : -1000, 0, at ? at / 5 : 1000, at, 10 * at };
	enum outcome outcome;

	if (eval->is_range) {
		return run_variant(runner, eval, &(struct variant){ .time_ms = at });
	}
	outcome = run_instant(runner, eval, (struct variant){ .time_ms = at });
	if (!can_pin(eval)) {
		return outcome;
	}
	for (size_t i = 0; i < ARRAY_COUNT(others) && outcome == PASSED; i++) {
		outcome = run_instant(
			runner, eval, (struct variant){ .time_ms = others[i], .is_pinned = true });
	}
	return outcome;
}

/* Whether the store cannot hold what the evaluation is about. */
static bool is_foreign(const struct runner *runner, const struct script_eval *eval) {
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct foreign_search search = { .runner = runner };
	struct err err;

	if (promql_parse(eval->query, &script_parse_options, &tree, &err) == 0) {
		expr_walk(tree.root, foreign_visit, &search);
	}
	return search.found;
}

/* Scripts. */

static struct str line_at(const struct runner *runner, size_t index) {
	struct str line = index < runner->line_count ? str_trim(runner->lines[index]) : STR_EMPTY;

	return str_starts(line, STR("#")) ? STR_EMPTY : line;
}

static void script_fail(struct runner *runner, const struct err *err) {
	(void)printf("FAIL %s:%zu: %s\n", runner->path, runner->line + 1, err->text);
	runner->tally.count[FAILED]++;
}

static void add_foreign(struct runner *runner, struct labels labels) {
	CHECK(runner->foreign_count < SCRIPT_SERIES_MAX);
	runner->foreign[runner->foreign_count++] = labels;
}

static void load(struct runner *runner, const struct script_series *series, int64_t step_ms) {
	struct test_series *target;

	if (series->is_start_times) {
		add_foreign(runner, series->labels);
		return;
	}
	target = test_store_series(&runner->store, &series->labels);
	for (size_t i = 0; i < series->count; i++) {
		const struct script_value *value = &series->values[i];
		int64_t time_ms = (int64_t)i * step_ms;

		if (value->histogram) {
			test_series_add_histogram(
				target, &runner->arena, time_ms, value->histogram);
		} else if (!value->is_omitted) {
			test_series_add(target, time_ms, value->value);
		}
	}
}

static void run_load(struct runner *runner) {
	struct str rest = line_at(runner, runner->line);
	struct str command = script_word(&rest);
	bool converts = str_equal(command, STR("load_with_nhcb"));
	struct test_conversions *conversions =
		ARENA_NEW(&runner->arena, struct test_conversions, 1);
	struct err err;
	int64_t step_ms;

	conversions->arena = &runner->arena;
	if (script_duration(script_word(&rest), &step_ms, &err) < 0) {
		script_fail(runner, &err);
		return;
	}
	while (line_at(runner, runner->line + 1).len > 0) {
		struct str line = line_at(runner, ++runner->line);
		struct script_series series;

		if (script_series_parse(&runner->arena, line, &series, &err) < 0) {
			script_fail(runner, &err);
			continue;
		}
		load(runner, &series, step_ms);
		if (converts) {
			test_conversions_add(conversions, &series);
		}
	}
	test_conversions_store(conversions, &runner->store, step_ms);
}

static int parse_expected(
	struct runner *runner, struct str line, struct script_eval *eval, struct err *err) {
	if (str_starts(line, STR("expect range vector"))) {
		return script_matrix_parse(line, eval, err);
	}
	if (str_starts(line, STR("expect string "))) {
		struct str text = str_trim(str_from(line, strlen("expect string ")));

		eval->has_string = true;
		eval->string = str_first(str_from(text, 1), text.len - 2);
		return 0;
	}
	if (str_starts(line, STR("expect "))) {
		return script_expect_parse(line, eval, err);
	}
	if (script_number(line, &eval->scalar)) {
		eval->has_scalar = true;
		return 0;
	}
	CHECK(eval->series_count < SCRIPT_SERIES_MAX);
	return script_series_parse(&runner->arena, line, &eval->series[eval->series_count++], err);
}

static void run_eval(struct runner *runner) {
	struct script_eval eval = { .line = runner->line + 1,
		.series = ARENA_NEW(&runner->arena, struct script_series, SCRIPT_SERIES_MAX) };
	struct err err;
	int rc = script_eval_parse(line_at(runner, runner->line), &eval, &err);
	enum outcome outcome;

	while (line_at(runner, runner->line + 1).len > 0) {
		struct str line = line_at(runner, ++runner->line);

		rc = rc < 0 ? rc : parse_expected(runner, line, &eval, &err);
	}
	if (rc < 0) {
		script_fail(runner, &err);
		return;
	}
	if (runner->only && (size_t)atoi(runner->only) != eval.line) {
		return;
	}
	outcome = is_foreign(runner, &eval) ? SKIPPED : run_all(runner, &eval);
	runner->tally.count[outcome]++;
}

static void clear(struct runner *runner) {
	test_store_deinit(&runner->store);
	runner->foreign_count = 0;
}

static void run_lines(struct runner *runner) {
	for (runner->line = 0; runner->line < runner->line_count; runner->line++) {
		struct str line = line_at(runner, runner->line);

		if (str_starts(line, STR("load"))) {
			run_load(runner);
		} else if (str_starts(line, STR("eval"))) {
			run_eval(runner);
		} else if (str_starts(line, STR("clear"))) {
			clear(runner);
		} else if (line.len > 0) {
			struct err err;

			(void)err_set(&err, ERR_INVAL, "no command: %.*s", STR_ARG(line));
			script_fail(runner, &err);
		}
	}
}

static char *read_file(const char *path, size_t *len) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	char *text;

	CHECK(fd >= 0 && fstat(fd, &info) == 0);
	text = MEMORY_NEW(char, (size_t)info.st_size + 1);
	CHECK(read(fd, text, (size_t)info.st_size) == info.st_size);
	(void)close(fd);
	*len = (size_t)info.st_size;
	return text;
}

static struct tally run_script(const char *path, bool delayed_name_removal) {
	struct engine_options options = {
		.lookback_ms = 300000,
		.default_subquery_step_ms = 60000,
		.samples_max = 10000,
		.query_bytes_max = 64 << 20,
		.process_bytes_max = 128 << 20,
		.parse = script_parse_options,
		.delayed_name_removal = delayed_name_removal,
	};
	struct runner runner = { .path = path, .only = getenv("ONLY_LINE") }; // NOLINT
	size_t len;
	char *text = read_file(path, &len);
	struct str rest = { text, len };

	runner.engine = engine_new(&options, clock_system());
	test_store_init(&runner.store);
	runner.lines = ARENA_NEW(&runner.arena, struct str, LINES_MAX);
	runner.foreign = ARENA_NEW(&runner.arena, struct labels, SCRIPT_SERIES_MAX);
	while (rest.ptr && runner.line_count < LINES_MAX) {
		runner.lines[runner.line_count++] = str_cut(&rest, '\n');
	}
	run_lines(&runner);
	clear(&runner);
	engine_free(runner.engine);
	arena_deinit(&runner.arena);
	free(text);
	(void)printf("%s%s: %zu passed, %zu failed, %zu skipped\n", path,
		delayed_name_removal ? "" : " (names dropped at once)", runner.tally.count[PASSED],
		runner.tally.count[FAILED], runner.tally.count[SKIPPED]);
	return runner.tally;
}

static int is_script(const struct dirent *entry) {
	return str_ends(str_of(entry->d_name), STR(".test"));
}

/* Our own scripts hold in either mode of name removal, unless they are about one. */
static bool runs_in_mode(const char *name, bool is_own, bool delayed) {
	if (str_starts(str_of(name), STR("delayed_"))) {
		return delayed;
	}
	if (str_starts(str_of(name), STR("at_once_"))) {
		return !delayed;
	}
	return is_own || delayed;
}

static void run_folder(const char *folder, bool is_own, struct tally *total) {
	const char *only = getenv("ONLY_FILE"); // NOLINT(concurrency-mt-unsafe)
	struct dirent **entries;
	int count = scandir(folder, &entries, is_script, alphasort);

	CHECK(count >= 0);
	for (int i = 0; i < count; i++) {
		AUTO(buf_deinit) struct buf path = { 0 };

		buf_printf(&path, "%s/%s", folder, entries[i]->d_name);
		for (int delayed = 0; delayed < 2; delayed++) {
			struct tally tally;

			if (!runs_in_mode(entries[i]->d_name, is_own, delayed) ||
				(only && !strstr(entries[i]->d_name, only))) {
				continue;
			}
			tally = run_script(buf_text(&path), delayed);
			for (size_t k = 0; k < ARRAY_COUNT(tally.count); k++) {
				total->count[k] += tally.count[k];
			}
		}
		free(entries[i]);
	}
	free((void *)entries);
}

int main(void) {
	AUTO(buf_deinit) struct buf suite = { 0 };
	struct tally total = { 0 };

	run_folder(OWN_SCRIPTS, true, &total);
	if (test_data()) {
		buf_printf(&suite, "%s/promqltest", test_data());
		run_folder(buf_text(&suite), false, &total);
		(void)printf("SKIP %zu evaluations of Prometheus' suite: they need start "
			     "timestamps, or what is not built yet\n",
			total.count[SKIPPED]);
	} else {
		(void)printf("SKIP Prometheus' suite: ATOLL_TESTDATA is not set\n");
		total.count[SKIPPED]++;
	}
	(void)printf("%zu passed, %zu failed, %zu skipped\n", total.count[PASSED],
		total.count[FAILED], total.count[SKIPPED]);
	return total.count[FAILED] ? EXIT_FAILURE : EXIT_SUCCESS;
}
