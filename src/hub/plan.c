#include "hub/plan.h"

#include "base/check.h"
#include "hub/local.h"
#include "promql/function.h"
#include "promql/print.h"

#include <inttypes.h>

/* One planning. */
struct planner {
	struct expr_tree *tree;
	struct plan_options options;
	struct plan *plan;
	struct plan_fragment **tail;
	struct arena scratch; /* Of one judgement. */
};

/* The times at which a subtree is evaluated. */
struct scope {
	struct grid grid;
	bool is_range;
};

static int rewrite(
	struct planner *planner, struct expr **slot, const struct scope *scope, struct err *err);

static struct expr *steps_leaf(
	struct planner *planner, const struct steps *steps, struct str label) {
	struct expr *leaf = expr_new(planner->tree, EXPR_STEPS, VALUE_VECTOR);
	leaf->u.steps.steps = steps;
	leaf->u.steps.label = label;
	return leaf;
}

static bool same_fragment(const struct plan_fragment *fragment, struct str query,
	const struct scope *scope, const bool *clusters, size_t cluster_count) {
	return str_equal(fragment->query, query) && fragment->is_range == scope->is_range &&
	       fragment->grid.start_ms == scope->grid.start_ms &&
	       fragment->grid.step_ms == scope->grid.step_ms &&
	       fragment->grid.count == scope->grid.count &&
	       (cluster_count == 0 ||
		       memcmp(fragment->clusters, clusters, cluster_count * sizeof(bool)) == 0);
}

/* The fragment of that query, made if nobody asked the same before. */
static struct plan_fragment *add_fragment(struct planner *planner, struct str query,
	const struct scope *scope, const bool *clusters) {
	struct arena *arena = &planner->tree->arena;
	size_t cluster_count = planner->options.cluster_count;
	for (struct plan_fragment *old = planner->plan->fragments; old; old = old->next) {
		if (same_fragment(old, query, scope, clusters, cluster_count)) {
			return old;
		}
	}
	struct plan_fragment *fragment = ARENA_NEW(arena, struct plan_fragment, 1);
	fragment->query = arena_copy(arena, query);
	fragment->grid = scope->grid;
	fragment->is_range = scope->is_range;
	fragment->clusters = clusters;
	*planner->tail = fragment;
	planner->tail = &fragment->next;
	planner->plan->fragment_count++;
	return fragment;
}

static void add_part(struct planner *planner, struct plan_fragment *fragment, struct str tag) {
	struct steps *steps = ARENA_NEW(&planner->tree->arena, struct steps, 1);
	CHECK(fragment->part_count < ARRAY_COUNT(fragment->parts));
	fragment->parts[fragment->part_count++] = (struct plan_part){ .tag = tag, .steps = steps };
}

/* The fragment of that query with its answer as the only part. */
static struct plan_fragment *add_whole(
	struct planner *planner, struct str text, const struct scope *scope, const bool *clusters) {
	struct plan_fragment *fragment = add_fragment(planner, text, scope, clusters);
	if (fragment->part_count == 0) {
		add_part(planner, fragment, STR_EMPTY);
	}
	return fragment;
}

/* A leaf that stands for what clusters answer to 'text'. */
static struct expr *ask_text(
	struct planner *planner, struct str text, const struct scope *scope, const bool *clusters) {
	const struct plan_fragment *fragment = add_whole(planner, text, scope, clusters);
	return steps_leaf(planner, fragment->parts[0].steps, fragment->query);
}

static void print_local(struct planner *planner, const struct expr *expr, struct buf *out) {
	local_print(planner->tree, expr, planner->options.cluster_label, out);
}

static struct expr *ask_local(struct planner *planner, const struct expr *expr,
	const struct scope *scope, const bool *clusters) {
	AUTO(buf_deinit) struct buf text = { 0 };
	print_local(planner, expr, &text);
	return ask_text(planner, buf_str(&text), scope, clusters);
}

static bool *new_routes(struct planner *planner) {
	return ARENA_NEW(&planner->tree->arena, bool, planner->options.cluster_count + 1);
}

static enum reach reach_of(struct planner *planner, const struct expr *expr, bool *routes) {
	arena_reset(&planner->scratch);
	return local_reach(expr, &planner->options, routes);
}

/* A copy of an aggregation over something else: the second level of the two. */
static struct expr *aggregate_over(struct planner *planner, const struct expr *aggregate,
	enum aggregate_op op, struct expr *over) {
	struct expr *copy = expr_new(planner->tree, EXPR_AGGREGATE, VALUE_VECTOR);
	copy->text = aggregate->text;
	copy->u = aggregate->u;
	copy->u.aggregate.op = op;
	copy->u.aggregate.expr = over;
	if (op != AGGREGATE_TOPK && op != AGGREGATE_BOTTOMK) {
		copy->u.aggregate.param = NULL;
	}
	return copy;
}

/* What the clusters' shares of an aggregation are combined with; false: it has no shares. */
static bool second_level(const struct expr *aggregate, enum aggregate_op *op) {
	*op = aggregate->u.aggregate.op;
	switch (aggregate->u.aggregate.op) {
	case AGGREGATE_MIN:
	case AGGREGATE_MAX:
	case AGGREGATE_GROUP:
		return true;
	case AGGREGATE_COUNT:
		*op = AGGREGATE_SUM;
		return true;
	case AGGREGATE_TOPK:
	case AGGREGATE_BOTTOMK:
		return expr_unparen(aggregate->u.aggregate.param)->kind == EXPR_NUMBER;
	case AGGREGATE_SUM:
	case AGGREGATE_AVG:
	case AGGREGATE_STDDEV:
	case AGGREGATE_STDVAR:
	case AGGREGATE_COUNT_VALUES:
	case AGGREGATE_QUANTILE:
	case AGGREGATE_LIMITK:
	case AGGREGATE_LIMIT_RATIO:
		return false;
	}
	return false;
}

/* Appends one tagged part of an average's fragment. */
static void print_part(struct planner *planner, const struct expr *aggregate, enum aggregate_op op,
	const char *tag, struct buf *out) {
	struct expr *part = aggregate_over(planner, aggregate, op, aggregate->u.aggregate.expr);
	buf_add_text(out, "label_replace(");
	print_local(planner, part, out);
	buf_printf(out, ", \"" PLAN_PART_LABEL "\", \"%s\", \"\", \"\")", tag);
}

/*
 * avg: sum and count come in one answer, so that both are of the same clusters whatever fails. The
 * quotient of the totals is the average.
 */
static struct expr *split_average(struct planner *planner, const struct expr *aggregate,
	const struct scope *scope, const bool *clusters) {
	AUTO(buf_deinit) struct buf text = { 0 };
	print_part(planner, aggregate, AGGREGATE_SUM, "sum", &text);
	buf_add_text(&text, " or ");
	print_part(planner, aggregate, AGGREGATE_COUNT, "count", &text);
	struct plan_fragment *fragment = add_fragment(planner, buf_str(&text), scope, clusters);
	if (fragment->part_count == 0) {
		add_part(planner, fragment, STR("sum"));
		add_part(planner, fragment, STR("count"));
	}
	fragment->parts[0].is_sum = true;
	fragment->parts[0].is_of_average = true;
	struct expr *quotient = expr_new(planner->tree, EXPR_BINARY, VALUE_VECTOR);
	quotient->text = aggregate->text;
	quotient->u.binary.op = BINARY_DIV;
	quotient->u.binary.matching = ARENA_NEW(&planner->tree->arena, struct vector_matching, 1);
	quotient->u.binary.left = aggregate_over(planner, aggregate, AGGREGATE_SUM,
		steps_leaf(planner, fragment->parts[0].steps, STR("sum")));
	quotient->u.binary.right = aggregate_over(planner, aggregate, AGGREGATE_SUM,
		steps_leaf(planner, fragment->parts[1].steps, STR("count")));
	struct expr *paren = expr_new(planner->tree, EXPR_PAREN, VALUE_VECTOR);
	paren->text = aggregate->text;
	paren->u.paren = quotient;
	return paren;
}

/* sum: the clusters' sums are looked at before they are added. */
static struct expr *split_sum(struct planner *planner, const struct expr *aggregate,
	const struct scope *scope, const bool *clusters) {
	AUTO(buf_deinit) struct buf text = { 0 };
	print_local(planner, aggregate, &text);
	struct plan_fragment *fragment = add_whole(planner, buf_str(&text), scope, clusters);
	fragment->parts[0].is_sum = true;
	return aggregate_over(planner, aggregate, AGGREGATE_SUM,
		steps_leaf(planner, fragment->parts[0].steps, fragment->query));
}

static bool groups_by_name(const struct expr *aggregate) {
	for (size_t i = 0; i < aggregate->u.aggregate.grouping_count; i++) {
		if (str_equal(aggregate->u.aggregate.grouping[i], LABEL_NAME)) {
			return true;
		}
	}
	return false;
}

/* count_values: the counts of equal values add up, grouped by the new label as well. */
static struct expr *split_count_values(struct planner *planner, const struct expr *aggregate,
	const struct scope *scope, const bool *clusters) {
	struct expr *share = ask_local(planner, aggregate, scope, clusters);
	struct expr *total = aggregate_over(planner, aggregate, AGGREGATE_SUM, share);
	size_t count = aggregate->u.aggregate.grouping_count;
	struct str *names = ARENA_NEW(&planner->tree->arena, struct str, count + 1);
	if (aggregate->u.aggregate.without) {
		/* The answers lack the other labels already, but the new one may be among those. */
		names[0] = planner->options.cluster_label;
		total->u.aggregate.grouping_count = 1;
	} else {
		for (size_t i = 0; i < count; i++) {
			names[i] = aggregate->u.aggregate.grouping[i];
		}
		names[count] = expr_unparen(aggregate->u.aggregate.param)->u.string;
		total->u.aggregate.grouping_count = count + 1;
		total->u.aggregate.is_grouped = true;
	}
	total->u.aggregate.grouping = names;
	return total;
}

static bool writes_cluster(struct planner *planner, const struct expr *aggregate) {
	const struct expr *name = expr_unparen(aggregate->u.aggregate.param);
	return name->kind != EXPR_STRING ||
	       str_equal(name->u.string, planner->options.cluster_label);
}

/* An aggregation of local series that loses their cluster: in two levels where that is the same. */
static struct expr *split_aggregate(struct planner *planner, const struct expr *aggregate,
	const struct scope *scope, const bool *clusters) {
	enum aggregate_op op = AGGREGATE_SUM;
	bool is_sum = aggregate->u.aggregate.op == AGGREGATE_SUM;
	bool is_average = aggregate->u.aggregate.op == AGGREGATE_AVG;
	if (local_grouping_keeps(aggregate, planner->options.cluster_label) ||
		(planner->options.sums_from_values && (is_sum || is_average))) {
		return NULL;
	}
	if (is_sum) {
		return split_sum(planner, aggregate, scope, clusters);
	}
	if (second_level(aggregate, &op)) {
		return aggregate_over(
			planner, aggregate, op, ask_local(planner, aggregate, scope, clusters));
	}
	if (is_average && !groups_by_name(aggregate)) {
		return split_average(planner, aggregate, scope, clusters);
	}
	if (aggregate->u.aggregate.op == AGGREGATE_COUNT_VALUES &&
		!writes_cluster(planner, aggregate)) {
		return split_count_values(planner, aggregate, scope, clusters);
	}
	return NULL;
}

static int rewrite_aggregate(
	struct planner *planner, struct expr **slot, const struct scope *scope, struct err *err) {
	struct expr *aggregate = *slot;
	bool *routes = new_routes(planner);
	struct expr *param = aggregate->u.aggregate.param;
	bool is_constant = !param || reach_of(planner, param, routes) == REACH_NONE;
	if (is_constant && reach_of(planner, aggregate->u.aggregate.expr, routes) == REACH_LOCAL) {
		struct expr *split = split_aggregate(planner, aggregate, scope, routes);
		if (split) {
			*slot = split;
			return 0;
		}
	}
	int rc = rewrite(planner, &aggregate->u.aggregate.expr, scope, err);
	if (rc == 0 && param) {
		rc = rewrite(planner, &aggregate->u.aggregate.param, scope, err);
	}
	return rc;
}

static int64_t floor_div(int64_t a, int64_t b) {
	int64_t quotient = a / b;
	return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

/*
 * The times at which a subquery evaluates its inside: multiples of its step in (t - range, t] for
 * every t of the outer grid, shifted by offset, or around its own @.
 */
static int subquery_scope(const struct expr *subquery, const struct scope *outer,
	struct scope *inner, struct err *err) {
	const struct time_shift *shift = &subquery->u.subquery.shift;
	int64_t first = outer->grid.start_ms;
	int64_t last = grid_time(&outer->grid, outer->grid.count - 1);
	int64_t step = subquery->u.subquery.step.ms;
	if (shift->at == AT_TIME) {
		first = last = shift->at_ms;
	}
	int64_t after = first - shift->offset.ms - subquery->u.subquery.range.ms;
	int64_t until = last - shift->offset.ms;
	int64_t start = (floor_div(after, step) + 1) * step;
	int64_t count = floor_div(until, step) - floor_div(after, step);
	if (count > ENGINE_STEPS_MAX) {
		return err_set(err, ERR_LIMIT,
			"a subquery over clusters needs %" PRId64
			" steps, limit is %d: use a longer step or a shorter range",
			count, ENGINE_STEPS_MAX);
	}
	inner->is_range = true;
	inner->grid = (struct grid){
		.start_ms = start, .step_ms = step, .count = count > 0 ? (size_t)count : 1
	};
	return 0;
}

/* label_replace(<inner>, name, value, "", ""): sets a label on the one series of an absent(). */
static struct expr *with_label(
	struct planner *planner, struct expr *inner, struct str name, struct str value) {
	struct expr *call = expr_new(planner->tree, EXPR_CALL, VALUE_VECTOR);
	struct str texts[4] = { name, STR_EMPTY, STR_EMPTY, STR_EMPTY };
	AUTO(buf_deinit) struct buf replacement = { 0 };
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '$') {
			buf_add_byte(&replacement, '$'); /* "$$" stands for one dollar. */
		}
		buf_add_byte(&replacement, value.ptr[i]);
	}
	texts[1] = arena_copy(&planner->tree->arena, buf_str(&replacement));
	call->u.call.function = function_get(FUNCTION_LABEL_REPLACE);
	call->u.call.args = ARENA_NEW(&planner->tree->arena, struct expr *, 5);
	call->u.call.count = 5;
	call->u.call.args[0] = inner;
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct expr *text = expr_new(planner->tree, EXPR_STRING, VALUE_STRING);
		text->u.string = texts[i];
		call->u.call.args[i + 1] = text;
	}
	return call;
}

/* Whether matcher 'at' gives absent() a label: the first equality of its name, with none after it.
 */
static bool gives_label(const struct selector *selector, size_t at) {
	const struct matcher *matcher = &selector->matchers[at];
	bool is_giver = matcher->op == MATCHER_EQUAL && matcher->value.len > 0 &&
			!str_equal(matcher->name, LABEL_NAME);
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *other = &selector->matchers[i];
		bool is_rival = i > at || (i < at && other->op == MATCHER_EQUAL);
		is_giver &= !is_rival || !str_equal(other->name, matcher->name);
	}
	return is_giver;
}

/* Puts on the labels that absent() takes from the selector. */
static struct expr *with_matched_labels(
	struct planner *planner, struct expr *inner, const struct selector *selector) {
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *matcher = &selector->matchers[i];
		if (gives_label(selector, i)) {
			inner = with_label(planner, inner, matcher->name, matcher->value);
		}
	}
	return inner;
}

static const struct selector *absent_selector(const struct expr *arg) {
	const struct expr *inside = arg;
	while (inside->kind == EXPR_PAREN) {
		inside = inside->u.paren;
	}
	if (inside->kind == EXPR_RANGE) {
		inside = inside->u.range.selector;
	}
	return inside->kind == EXPR_SELECTOR ? &inside->u.selector : NULL;
}

/*
 * absent: one presence bit per cluster and step is all that has to come; the labels are made here
 * from the matchers, the cluster's among them.
 */
static int split_absent(struct planner *planner, struct expr **slot, const struct scope *scope,
	const bool *clusters) {
	struct expr *call = *slot;
	bool is_over_time = call->u.call.function->id == FUNCTION_ABSENT_OVER_TIME;
	const struct selector *selector = absent_selector(call->u.call.args[0]);
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_add_text(&text, is_over_time ? "group(present_over_time(" : "group(");
	print_local(planner, call->u.call.args[0], &text);
	buf_add_text(&text, is_over_time ? "))" : ")");
	struct expr *absent = expr_new(planner->tree, EXPR_CALL, VALUE_VECTOR);
	absent->text = call->text;
	absent->u.call.function = function_get(FUNCTION_ABSENT);
	absent->u.call.args = ARENA_NEW(&planner->tree->arena, struct expr *, 1);
	absent->u.call.count = 1;
	absent->u.call.args[0] = ask_text(planner, buf_str(&text), scope, clusters);
	*slot = selector ? with_matched_labels(planner, absent, selector) : absent;
	return 0;
}

static int rewrite_call(
	struct planner *planner, struct expr **slot, const struct scope *scope, struct err *err) {
	struct expr *call = *slot;
	bool *routes = new_routes(planner);
	enum function_id id = call->u.call.function->id;
	if ((id == FUNCTION_ABSENT || id == FUNCTION_ABSENT_OVER_TIME) &&
		reach_of(planner, call->u.call.args[0], routes) == REACH_LOCAL) {
		return split_absent(planner, slot, scope, routes);
	}
	if (id == FUNCTION_INFO) {
		/* Its second argument would ask for every series with such a label. */
		return err_set(err, ERR_ABSENT,
			"info() over several clusters is not supported yet: ask one of them");
	}
	for (size_t i = 0; i < call->u.call.count; i++) {
		struct expr *arg = expr_unparen(call->u.call.args[i]);
		if (arg->kind == EXPR_RANGE) {
			return err_set(err, ERR_ABSENT,
				"%.*s over several clusters is not supported yet with an argument "
				"that reads data: give it as a number",
				STR_ARG(call->u.call.function->name));
		}
		int rc = rewrite(planner, &call->u.call.args[i], scope, err);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static int rewrite_subquery(struct planner *planner, struct expr *subquery,
	const struct scope *scope, struct err *err) {
	struct scope inner = { 0 };
	int rc = subquery_scope(subquery, scope, &inner, err);
	return rc < 0 ? rc : rewrite(planner, &subquery->u.subquery.expr, &inner, err);
}

/* What needs several clusters: its parts are rewritten, it is evaluated here. */
static int rewrite_global(
	struct planner *planner, struct expr **slot, const struct scope *scope, struct err *err) {
	struct expr *expr = *slot;
	int rc = 0;
	switch (expr->kind) {
	case EXPR_PAREN:
		return rewrite(planner, &expr->u.paren, scope, err);
	case EXPR_UNARY:
		return rewrite(planner, &expr->u.unary.expr, scope, err);
	case EXPR_BINARY:
		rc = rewrite(planner, &expr->u.binary.left, scope, err);
		return rc < 0 ? rc : rewrite(planner, &expr->u.binary.right, scope, err);
	case EXPR_AGGREGATE:
		return rewrite_aggregate(planner, slot, scope, err);
	case EXPR_CALL:
		return rewrite_call(planner, slot, scope, err);
	case EXPR_SUBQUERY:
		return rewrite_subquery(planner, expr, scope, err);
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_SELECTOR:
	case EXPR_RANGE:
	case EXPR_STEPS:
		break;
	}
	return 0;
}

static int rewrite(
	struct planner *planner, struct expr **slot, const struct scope *scope, struct err *err) {
	bool *routes = new_routes(planner);
	switch (reach_of(planner, *slot, routes)) {
	case REACH_NONE:
		return 0;
	case REACH_LOCAL:
		if ((*slot)->type == VALUE_MATRIX) {
			/* A subquery as the argument of a function that is not local. */
			return rewrite_global(planner, slot, scope, err);
		}
		*slot = ask_local(planner, *slot, scope, routes);
		return 0;
	case REACH_GLOBAL:
		return rewrite_global(planner, slot, scope, err);
	}
	return 0;
}

/*
 * The order of an instant topk is part of its answer. Put side by side, the clusters' answers lose
 * it; chosen from once more, as k of each group's k, they get it back.
 */
static bool rank_again(struct planner *planner, struct expr **slot, const struct scope *scope) {
	struct expr *root = expr_unparen(*slot);
	bool *routes = new_routes(planner);
	if (scope->is_range || root->kind != EXPR_AGGREGATE ||
		(root->u.aggregate.op != AGGREGATE_TOPK &&
			root->u.aggregate.op != AGGREGATE_BOTTOMK) ||
		reach_of(planner, root, routes) != REACH_LOCAL) {
		return false;
	}
	*slot = aggregate_over(
		planner, root, root->u.aggregate.op, ask_local(planner, root, scope, routes));
	return true;
}

/* Plans the whole tree. */
static int plan_root(struct planner *planner, const struct query_params *params, struct err *err) {
	struct expr_tree *tree = planner->tree;
	const struct scope scope = { params->grid, params->is_range };
	bool has_steps = tree->root->type == VALUE_SCALAR || tree->root->type == VALUE_VECTOR;
	if (params->is_range && !has_steps) {
		return 0; /* Nothing to ask: the engine refuses it. */
	}
	bool *routes = new_routes(planner);
	if (tree->root->type == VALUE_MATRIX &&
		reach_of(planner, tree->root, routes) == REACH_LOCAL) {
		(void)ask_local(planner, tree->root, &scope, routes);
		planner->plan->is_raw = true;
		return 0;
	}
	return rank_again(planner, &tree->root, &scope)
		       ? 0
		       : rewrite(planner, &tree->root, &scope, err);
}

int plan_build(struct expr_tree *tree, const struct query_params *params,
	const struct plan_options *options, struct plan *out, struct err *err) {
	struct plan plan = { 0 };
	struct planner planner = { .tree = tree, .options = *options, .plan = &plan };
	planner.options.arena = &planner.scratch;
	planner.tail = &plan.fragments;
	int rc = plan_root(&planner, params, err);
	arena_deinit(&planner.scratch);
	if (rc == 0) {
		*out = plan;
	}
	return rc;
}

void plan_dump(const struct plan *plan, const struct expr_tree *tree,
	const struct plan_options *options, struct buf *out) {
	for (const struct plan_fragment *fragment = plan->fragments; fragment;
		fragment = fragment->next) {
		for (size_t i = 0; i < options->cluster_count; i++) {
			if (fragment->clusters[i]) {
				buf_printf(out, "%.*s ", STR_ARG(options->clusters[i]));
			}
		}
		buf_printf(out, "<- %.*s", STR_ARG(fragment->query));
		if (fragment->is_range) {
			buf_printf(out, " [%" PRId64 "+%" PRId64 "x%zu]", fragment->grid.start_ms,
				fragment->grid.step_ms, fragment->grid.count);
		}
		buf_add_byte(out, '\n');
	}
	buf_add_text(out, "hub: ");
	expr_print(tree->root, out);
	buf_add_byte(out, '\n');
}
