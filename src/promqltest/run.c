#include "promqltest/promqltest.h"

#include "promql/engine.h"
#include "promql/function.h"
#include "promqltest/classic.h"
#include "promqltest/compare.h"
#include "promqltest/script.h"

#include "base/check.h"
#include "store/test_store.h"

#define ENGINE_BYTES_MAX (64 << 20)
/* Of a script that is read, with all values that its sequences stand for. */
#define SCRIPT_BYTES_MAX (512 << 20)

enum outcome {
	PASSED,
	FAILED,
	SKIPPED
};

struct runner {
	const char *name;
	const struct promqltest_options *options;
	struct buf *out;
	struct engine *engine;
	struct test_store store;
	struct arena arena; /* Of the script and what is stored. */
	size_t line;        /* Of the evaluation that runs. */
};

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
	int rc = promql_parse(eval->query, &runner->options->parse, &tree, err);

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
	const struct variant *variant, struct str why) {
	buf_printf(runner->out, "%s:%zu: %.*s: %.*s%s%s at %lld ms\n", runner->name, runner->line,
		STR_ARG(why), STR_ARG(eval->query), variant->is_pinned ? " with @" : "",
		variant->in_range ? " in a range" : "", (long long)variant->time_ms);
	return FAILED;
}

static enum outcome report_failure(const struct runner *runner, const struct script_eval *eval,
	const struct variant *variant, const struct err *err) {
	AUTO(buf_deinit) struct buf why = { 0 };

	buf_printf(&why, "expected %s, got the error: %s",
		compare_expects(eval, EXPECT_FAIL) ? "another error" : "a result", err->text);
	return report(runner, eval, variant, buf_str(&why));
}

static enum outcome run_variant(
	struct runner *runner, const struct script_eval *eval, const struct variant *variant) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf why = { 0 };
	struct query_result result = { 0 };
	struct err err = { 0 };
	int rc = evaluate(runner, eval, variant, &arena, &result, &err);

	CHECK(runner->store.open_sets == 0);
	if (rc == ERR_ABSENT) {
		return SKIPPED;
	}
	if (rc < 0) {
		return compare_failure(eval, str_of(err.text))
			       ? PASSED
			       : report_failure(runner, eval, variant, &err);
	}
	if (compare_expects(eval, EXPECT_FAIL)) {
		return report(runner, eval, variant, STR("expected an error, got a result"));
	}
	if (variant->in_range) {
		if (compare_expects(eval, EXPECT_ORDERED)) {
			return PASSED;
		}
		take_middle(&result);
	} else if (!compare_notes(eval, &result.notes, &why)) {
		return report(runner, eval, variant, buf_str(&why));
	}
	return compare_result(eval, &result, &why) ? PASSED
						   : report(runner, eval, variant, buf_str(&why));
}

/* An instant evaluation, and the same in a range around it. */
static enum outcome run_instant(
	struct runner *runner, const struct script_eval *eval, struct variant variant) {
	enum outcome outcome = run_variant(runner, eval, &variant);

	if (outcome != PASSED || eval->has_matrix || eval->has_string ||
		compare_expects(eval, EXPECT_FAIL)) {
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
static bool can_pin(const struct runner *runner, const struct script_eval *eval) {
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct pin pin = { 0 };
	struct err err;

	if (promql_parse(eval->query, &runner->options->parse, &tree, &err) < 0) {
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
	if (!can_pin(runner, eval)) {
		return outcome;
	}
	for (size_t i = 0; i < ARRAY_COUNT(others) && outcome == PASSED; i++) {
		outcome = run_instant(
			runner, eval, (struct variant){ .time_ms = others[i], .is_pinned = true });
	}
	return outcome;
}

/* Scripts. */

static void load_series(
	struct runner *runner, const struct script_series *series, int64_t step_ms) {
	struct test_series *target = test_store_series(&runner->store, &series->labels);

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

/* Stores what the classic histograms among the series stand for, as native ones. */
static int load_converted(struct runner *runner, const struct script_load *load, struct err *err) {
	struct test_conversions conversions;
	size_t step_count = 0;
	int rc;

	for (size_t i = 0; i < load->series_count; i++) {
		if (load->series[i].count > step_count) {
			step_count = load->series[i].count;
		}
	}
	rc = test_conversions_init(
		&conversions, &runner->arena, load->series_count, step_count, err);
	for (size_t i = 0; i < load->series_count && rc == 0; i++) {
		rc = test_conversions_add(&conversions, &load->series[i], err);
	}
	return rc < 0 ? rc
		      : test_conversions_store(&conversions, &runner->store, load->step_ms, err);
}

/* Gives samples that are stored their start timestamps. */
static void load_starts(
	struct runner *runner, const struct script_series *series, int64_t step_ms) {
	struct test_series *target = test_store_series(&runner->store, &series->labels);

	for (size_t i = 0; i < series->count; i++) {
		int64_t time_ms = (int64_t)i * step_ms;

		if (!series->values[i].is_omitted) {
			test_series_set_start(
				target, time_ms, time_ms + (int64_t)series->values[i].value);
		}
	}
}

static int run_load(struct runner *runner, const struct script_load *load, struct err *err) {
	for (size_t i = 0; i < load->series_count; i++) {
		if (!load->series[i].is_start_times) {
			load_series(runner, &load->series[i], load->step_ms);
		}
	}
	for (size_t i = 0; i < load->series_count; i++) {
		if (load->series[i].is_start_times) {
			load_starts(runner, &load->series[i], load->step_ms);
		}
	}
	return load->converts ? load_converted(runner, load, err) : 0;
}

static void clear(struct runner *runner) {
	test_store_deinit(&runner->store);
}

static void run_eval(struct runner *runner, const struct script_command *command,
	struct promqltest_count *count) {
	const struct script_eval *eval = command->u.eval;
	size_t only = runner->options->only_line;

	if (only && only != command->line) {
		return;
	}
	runner->line = command->line;
	switch (run_all(runner, eval)) {
	case PASSED:
		count->passed++;
		break;
	case FAILED:
		count->failed++;
		break;
	case SKIPPED:
		count->skipped++;
		break;
	}
}

static int run_script(struct runner *runner, const struct script *script,
	struct promqltest_count *count, struct err *err) {
	int rc = 0;

	for (size_t i = 0; i < script->count && rc == 0; i++) {
		const struct script_command *command = &script->commands[i];

		switch (command->kind) {
		case SCRIPT_LOAD:
			rc = run_load(runner, &command->u.load, err);
			break;
		case SCRIPT_EVAL:
			run_eval(runner, command, count);
			break;
		case SCRIPT_CLEAR:
			clear(runner);
			break;
		}
		if (rc < 0) {
			(void)err_wrap(err, rc, "%s:%zu", runner->name, command->line);
		}
	}
	return rc;
}

int promqltest_run(const char *name, struct str text, const struct promqltest_options *options,
	struct buf *out, struct promqltest_count *count, struct err *err) {
	struct engine_options engine_options = {
		.lookback_ms = 300000,
		.default_subquery_step_ms = 60000,
		.samples_max = 10000,
		.query_bytes_max = ENGINE_BYTES_MAX,
		.process_bytes_max = 2 * ENGINE_BYTES_MAX,
		.parse = options->parse,
		.delayed_name_removal = options->delayed_name_removal,
		.use_start_timestamps = options->use_start_timestamps,
	};
	struct runner runner = { .name = name, .options = options, .out = out };
	struct budget budget;
	struct script script;
	size_t line = 0;
	int rc;

	if (text.len > PROMQLTEST_LEN_MAX) {
		return err_set(err, ERR_LIMIT, "%s: a script of more than %d bytes", name,
			PROMQLTEST_LEN_MAX);
	}
	budget_init(&budget, NULL, "memory of a script", SCRIPT_BYTES_MAX);
	arena_init(&runner.arena, &budget);
	rc = script_parse(&runner.arena, text, &script, &line, err);
	if (rc < 0) {
		(void)err_wrap(err, rc, "%s:%zu", name, line);
	} else {
		runner.engine = engine_new(&engine_options, clock_system());
		test_store_init(&runner.store);
		rc = run_script(&runner, &script, count, err);
		clear(&runner);
		engine_free(runner.engine);
	}
	arena_deinit(&runner.arena);
	budget_deinit(&budget);
	return rc;
}
