/*
 * Tests only: whether the hub over a fleet answers what the oracle answers.
 */
#ifndef HUB_AGREE_TEST_H
#define HUB_AGREE_TEST_H

#include "base/test.h"
#include "hub/fleet_test.h"

/* How closely an answer has to agree. */
enum exactness {
	EXACT,  /* Bit for bit. */
	SUMMED, /* Partial sums are rounded: a few units in the last place of the largest part. */
	LOOSE,  /* Not even one engine agrees with itself over another order of series. */
	TIED,   /* Any of equal values may be chosen: only the values are compared. */
};

/* What was compared, for messages. */
struct comparison {
	const char *query;
	const struct query_params *params;
	enum exactness exactness;
	const struct fleet *fleet;
	bool has_failed;
};

static void print_columns(const char *title, const struct query_result *result) {
	print_message("%s: type %d, %zu columns\n", title, (int)result->type, result->steps.count);
	for (size_t i = 0; i < result->steps.count && i < 20; i++) {
		const struct step_column *column = &result->steps.columns[i];
		struct buf text = { 0 };
		labels_format(&column->labels, &text);
		for (size_t j = 0; j < result->steps.grid.count && j < 12; j++) {
			if (step_present(column, j)) {
				buf_printf(&text, " %.17g", column->values[j]);
			} else {
				buf_add_text(&text, " -");
			}
		}
		print_message("  %s\n", buf_text(&text));
		buf_deinit(&text);
	}
}

/* Notes one disagreement for each comparison; the test goes on and fails at its end. */
static void disagree(struct comparison *c, const struct query_result *hub,
	const struct query_result *oracle, const char *why) {
	if (c->has_failed) {
		return;
	}
	c->has_failed = true;
	print_message("%s (%s, start %" PRId64 ", step %" PRId64 ", %zu steps): %s; asked:\n%s",
		c->query, c->params->is_range ? "range" : "instant", c->params->grid.start_ms,
		c->params->grid.step_ms, c->params->grid.count, why, buf_text(&c->fleet->trace));
	print_columns("hub", hub);
	print_columns("oracle", oracle);
}

static bool agree(double a, double b, enum exactness exactness) {
	if (double_bits(a) == double_bits(b) || (isnan(a) && isnan(b)) || a == b) {
		return true;
	}
	if (exactness == EXACT || isnan(a) || isnan(b) || isinf(a) || isinf(b)) {
		return false;
	}
	return fabs(a - b) <=
	       (exactness == SUMMED ? 1e-12 : 1e-7) * fmax(1, fmax(fabs(a), fabs(b)));
}

static int compare_doubles(const void *a, const void *b) {
	double left = *(const double *)a;
	double right = *(const double *)b;
	if (isnan(left) || isnan(right)) {
		return (int)isnan(left) - (int)isnan(right);
	}
	return (left > right) - (left < right);
}

/* The values at one step, sorted. */
static size_t values_at(const struct steps *steps, size_t step, double *out) {
	size_t count = 0;
	for (size_t i = 0; i < steps->count; i++) {
		if (step_present(&steps->columns[i], step)) {
			out[count++] = steps->columns[i].values[step];
		}
	}
	qsort(out, count, sizeof(out[0]), compare_doubles);
	return count;
}

static void compare_values(
	struct comparison *c, const struct query_result *hub, const struct query_result *oracle) {
	double *left = MEMORY_NEW(double, hub->steps.count + 1);
	double *right = MEMORY_NEW(double, oracle->steps.count + 1);
	for (size_t step = 0; step < c->params->grid.count; step++) {
		size_t count = values_at(&hub->steps, step, left);
		bool is_same = count == values_at(&oracle->steps, step, right);
		for (size_t i = 0; is_same && i < count; i++) {
			is_same = agree(left[i], right[i], SUMMED);
		}
		if (!is_same) {
			disagree(c, hub, oracle, "other values");
		}
	}
	free(left);
	free(right);
}

static int compare_by_labels(const void *a, const void *b) {
	return labels_cmp(
		&((const struct step_column *)a)->labels, &((const struct step_column *)b)->labels);
}

/* A copy without columns that are empty, sorted by labels. */
static struct steps sorted_columns(const struct steps *steps, struct arena *arena) {
	struct steps sorted = { steps->grid, ARENA_NEW(arena, struct step_column, steps->count + 1),
		0 };
	for (size_t i = 0; i < steps->count; i++) {
		if (!step_column_is_empty(&steps->columns[i], steps->grid.count)) {
			sorted.columns[sorted.count++] = steps->columns[i];
		}
	}
	qsort(sorted.columns, sorted.count, sizeof(sorted.columns[0]), compare_by_labels);
	return sorted;
}

static void compare_columns(
	struct comparison *c, const struct query_result *hub, const struct query_result *oracle) {
	struct arena arena = { 0 };
	const struct steps left = sorted_columns(&hub->steps, &arena);
	const struct steps right = sorted_columns(&oracle->steps, &arena);
	if (left.count != right.count) {
		disagree(c, hub, oracle, "another number of series");
	}
	for (size_t i = 0; i < left.count && !c->has_failed; i++) {
		if (!labels_equal(&left.columns[i].labels, &right.columns[i].labels)) {
			disagree(c, hub, oracle, "other labels");
		}
		for (size_t step = 0; step < c->params->grid.count; step++) {
			bool is_there = step_present(&left.columns[i], step);
			if (is_there != step_present(&right.columns[i], step)) {
				disagree(c, hub, oracle, "present at other steps");
			}
			if (is_there && !agree(left.columns[i].values[step],
						right.columns[i].values[step], c->exactness)) {
				disagree(c, hub, oracle, "other values");
			}
		}
	}
	arena_deinit(&arena);
}

/* An order that is part of the answer: the values must come in the same one. */
static void compare_order(
	struct comparison *c, const struct query_result *hub, const struct query_result *oracle) {
	if (hub->is_ordered != oracle->is_ordered) {
		disagree(c, hub, oracle, "only one is ordered");
	}
	for (size_t i = 0; hub->is_ordered && i < hub->steps.count && !c->has_failed; i++) {
		if (!agree(hub->steps.columns[i].values[0], oracle->steps.columns[i].values[0],
			    c->exactness)) {
			disagree(c, hub, oracle, "another order");
		}
	}
}

static int compare_raw_by_labels(const void *a, const void *b) {
	return labels_cmp(
		&((const struct raw_series *)a)->labels, &((const struct raw_series *)b)->labels);
}

static void compare_raw(
	struct comparison *c, const struct query_result *hub, const struct query_result *oracle) {
	if (hub->raw_count != oracle->raw_count) {
		disagree(c, hub, oracle, "another number of raw series");
	}
	if (hub->raw_count == 0 || c->has_failed) {
		return;
	}
	qsort(hub->raw, hub->raw_count, sizeof(hub->raw[0]), compare_raw_by_labels);
	qsort(oracle->raw, oracle->raw_count, sizeof(oracle->raw[0]), compare_raw_by_labels);
	for (size_t i = 0; i < hub->raw_count; i++) {
		const struct raw_series *left = &hub->raw[i];
		const struct raw_series *right = &oracle->raw[i];
		bool is_same =
			labels_equal(&left->labels, &right->labels) && left->count == right->count;
		for (size_t j = 0; is_same && j < left->count; j++) {
			is_same = left->times_ms[j] == right->times_ms[j] &&
				  agree(left->values[j], right->values[j], EXACT);
		}
		if (!is_same) {
			disagree(c, hub, oracle, "other raw series");
		}
	}
}

static void compare_answers(
	struct comparison *c, const struct query_result *hub, const struct query_result *oracle) {
	if (hub->type != oracle->type) {
		disagree(c, hub, oracle, "another type");
	}
	if (!str_equal(hub->string, oracle->string)) {
		disagree(c, hub, oracle, "another string");
	}
	compare_raw(c, hub, oracle);
	if (c->exactness == TIED) {
		compare_values(c, hub, oracle);
		return;
	}
	compare_columns(c, hub, oracle);
	compare_order(c, hub, oracle);
}

/*
 * One side of a match may hold two series for one key as long as the other side is empty. Several
 * clusters know this each for itself, one engine only of all: it may refuse where the hub answers.
 */
static bool is_laxer(int hub_rc, int oracle_rc, const struct err *oracle_err) {
	return hub_rc == 0 && oracle_rc == ERR_EXEC &&
	       strstr(oracle_err->text, "found duplicate series for the match group");
}

/* The oracle is to know nothing of the clusters that are missing from an answer. */
static void hide_missing(struct fleet *fleet, const struct source_answer *answer) {
	for (size_t i = 0; i < fleet->count; i++) {
		fleet->is_hidden[i] = false;
		for (size_t j = 0; j < answer->share_count; j++) {
			fleet->is_hidden[i] |=
				str_equal(answer->shares[j].cluster, str_of(fleet->names[i])) &&
				answer->shares[j].error.len > 0;
		}
	}
}

/*
 * Asks both. Returns whether they agree: in the answer, or in that there is none. If requests fail,
 * the answer has to be that of the clusters that are not missing.
 */
static bool check_agrees(struct fleet *fleet, const char *query, enum exactness exactness,
	const struct query_params *params) {
	struct arena arena = { 0 };
	struct source_answer answer = { 0 };
	struct query_result oracle = { 0 };
	struct err hub_err = { 0 };
	struct err oracle_err = { 0 };
	struct comparison c = { query, params, exactness, fleet, false };
	int hub_rc = fleet_query(
		fleet, str_of(query), params, !fleet->failures, &arena, &answer, &hub_err);
	hide_missing(fleet, &answer);
	int oracle_rc =
		fleet_eval(fleet, &fleet->all, str_of(query), params, &arena, &oracle, &oracle_err);
	/* A cluster may fail the query by one request and be missing by another. */
	bool is_moot = fleet->failures && hub_rc < 0;
	if (!is_moot && (hub_rc < 0) != (oracle_rc < 0) &&
		!is_laxer(hub_rc, oracle_rc, &oracle_err)) {
		print_message("hub: %d %s\noracle: %d %s\n", hub_rc, hub_err.text, oracle_rc,
			oracle_err.text);
		disagree(&c, &answer.result, &oracle, "only one fails");
	} else if (hub_rc == 0 && oracle_rc == 0) {
		compare_answers(&c, &answer.result, &oracle);
	}
	arena_deinit(&arena);
	return !c.has_failed;
}

#endif
