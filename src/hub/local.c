#include "hub/local.h"

#include "promql/function.h"
#include "promql/print.h"

static bool has_name(const struct str *names, size_t count, struct str name) {
	for (size_t i = 0; i < count; i++) {
		if (str_equal(names[i], name)) {
			return true;
		}
	}
	return false;
}

bool local_grouping_keeps(const struct expr *aggregate, struct str cluster_label) {
	bool is_named = has_name(aggregate->u.aggregate.grouping,
		aggregate->u.aggregate.grouping_count, cluster_label);
	return aggregate->u.aggregate.without ? !is_named : is_named;
}

static void route_selector(
	const struct selector *selector, const struct plan_options *options, bool *routes) {
	for (size_t i = 0; i < options->cluster_count; i++) {
		routes[i] = true;
		for (size_t j = 0; j < selector->matcher_count; j++) {
			const struct matcher *matcher = &selector->matchers[j];
			if (str_equal(matcher->name, options->cluster_label) &&
				!matcher_matches(matcher, options->clusters[i])) {
				routes[i] = false;
			}
		}
	}
}

static bool same_routes(const bool *a, const bool *b, size_t count) {
	return count == 0 || memcmp(a, b, count * sizeof(a[0])) == 0;
}

/* A call that reads or writes the cluster's label sees what clusters do not have. */
static bool touches_cluster(const struct expr *call, struct str cluster_label) {
	for (size_t i = 1; i < call->u.call.count; i++) {
		const struct expr *arg = expr_unparen(call->u.call.args[i]);
		if (arg->kind == EXPR_STRING && str_equal(arg->u.string, cluster_label)) {
			return true;
		}
	}
	return false;
}

/* Functions of each series for itself, or of the series of one group that share the cluster. */
static bool is_per_cluster(const struct expr *call, struct str cluster_label) {
	// NOLINTNEXTLINE(clang-diagnostic-switch-enum): the exceptions are listed, the rule is the
	// rest
	switch ((int)call->u.call.function->id) {
	case FUNCTION_ABSENT:
	case FUNCTION_ABSENT_OVER_TIME:
	case FUNCTION_SCALAR:
	case FUNCTION_VECTOR:
	case FUNCTION_SORT:
	case FUNCTION_SORT_DESC:
	case FUNCTION_SORT_BY_LABEL:
	case FUNCTION_SORT_BY_LABEL_DESC:
	case FUNCTION_INFO:
		return false;
	case FUNCTION_LABEL_REPLACE:
	case FUNCTION_LABEL_JOIN:
	case FUNCTION_HISTOGRAM_QUANTILES:
		return !touches_cluster(call, cluster_label);
	default:
		return true;
	}
}

static enum reach reach_call(
	const struct expr *call, const struct plan_options *options, bool *routes) {
	enum reach reach = REACH_NONE;
	bool is_fit = is_per_cluster(call, options->cluster_label);
	for (size_t i = 0; i < call->u.call.count; i++) {
		const struct expr *arg = call->u.call.args[i];
		bool is_data = arg->type == VALUE_VECTOR || arg->type == VALUE_MATRIX;
		enum reach here = local_reach(arg, options, routes);
		if (here == REACH_GLOBAL || (here == REACH_LOCAL && !is_data)) {
			return REACH_GLOBAL;
		}
		/* A constant vector beside data would be repeated in every cluster. */
		is_fit &= here == REACH_LOCAL || !is_data;
		reach = here > reach ? here : reach;
	}
	if (reach == REACH_LOCAL && !is_fit) {
		return REACH_GLOBAL;
	}
	return reach;
}

static enum reach reach_aggregate(
	const struct expr *expr, const struct plan_options *options, bool *routes) {
	const struct expr *param = expr->u.aggregate.param;
	bool *unused =
		routes; /* A parameter that reads data makes it global whatever its routes. */
	if (param && local_reach(param, options, unused) != REACH_NONE) {
		return REACH_GLOBAL;
	}
	enum reach reach = local_reach(expr->u.aggregate.expr, options, routes);
	bool writes_cluster =
		expr->u.aggregate.op == AGGREGATE_COUNT_VALUES && param &&
		expr_unparen(expr->u.aggregate.param)->kind == EXPR_STRING &&
		str_equal(expr_unparen(expr->u.aggregate.param)->u.string, options->cluster_label);
	if (reach == REACH_LOCAL &&
		(writes_cluster || !local_grouping_keeps(expr, options->cluster_label) ||
			expr->u.aggregate.op == AGGREGATE_LIMIT_RATIO)) {
		return REACH_GLOBAL;
	}
	return reach;
}

/* Whether series only ever match within their cluster. */
static bool matching_keeps(const struct vector_matching *matching, struct str cluster_label) {
	bool is_named = has_name(matching->labels, matching->label_count, cluster_label);
	bool is_included = has_name(matching->include, matching->include_count, cluster_label);
	return (matching->is_on ? is_named : !is_named) && !is_included;
}

static enum reach reach_binary(
	const struct expr *expr, const struct plan_options *options, bool *routes) {
	enum reach left = local_reach(expr->u.binary.left, options, routes);
	if (left == REACH_GLOBAL) {
		return REACH_GLOBAL;
	}
	bool *right_routes = routes;
	if (left == REACH_LOCAL) {
		right_routes = ARENA_NEW(options->arena, bool, options->cluster_count + 1);
	}
	enum reach right = local_reach(expr->u.binary.right, options, right_routes);
	if (left == REACH_NONE && right == REACH_NONE) {
		return REACH_NONE;
	}
	if (right == REACH_GLOBAL) {
		return REACH_GLOBAL;
	}
	if (left == REACH_LOCAL && right == REACH_LOCAL) {
		bool is_local = expr->u.binary.matching &&
				matching_keeps(expr->u.binary.matching, options->cluster_label) &&
				same_routes(routes, right_routes, options->cluster_count);
		return is_local ? REACH_LOCAL : REACH_GLOBAL;
	}
	const struct expr *constant =
		left == REACH_NONE ? expr->u.binary.left : expr->u.binary.right;
	return constant->type == VALUE_SCALAR ? REACH_LOCAL : REACH_GLOBAL;
}

enum reach local_reach(const struct expr *expr, const struct plan_options *options, bool *routes) {
	switch (expr->kind) {
	case EXPR_NUMBER:
	case EXPR_STRING:
		return REACH_NONE;
	case EXPR_SELECTOR:
		route_selector(&expr->u.selector, options, routes);
		return REACH_LOCAL;
	case EXPR_RANGE:
		return local_reach(expr->u.range.selector, options, routes);
	case EXPR_SUBQUERY:
		return local_reach(expr->u.subquery.expr, options, routes);
	case EXPR_CALL:
		return reach_call(expr, options, routes);
	case EXPR_AGGREGATE:
		return reach_aggregate(expr, options, routes);
	case EXPR_BINARY:
		return reach_binary(expr, options, routes);
	case EXPR_UNARY:
		return local_reach(expr->u.unary.expr, options, routes);
	case EXPR_PAREN:
		return local_reach(expr->u.paren, options, routes);
	case EXPR_STEPS:
		return REACH_GLOBAL;
	}
	return REACH_GLOBAL;
}

/* What local_print strips from a copy of the tree. */
struct strip {
	struct arena *arena;
	struct str label;
};

static size_t drop_name(struct str *names, size_t count, struct str name) {
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (!str_equal(names[i], name)) {
			names[kept++] = names[i];
		}
	}
	return kept;
}

/* A copy of the names with 'name' among them. */
static struct str *with_name(
	struct arena *arena, const struct str *names, size_t *count, struct str name) {
	struct str *more = ARENA_NEW(arena, struct str, *count + 1);
	size_t kept = 0;
	for (size_t i = 0; i < *count; i++) {
		if (!str_equal(names[i], name)) {
			more[kept++] = names[i];
		}
	}
	more[kept++] = name;
	*count = kept;
	return more;
}

/*
 * Groups are told apart by the label that the hub puts on, never by one that the cluster stores:
 * 'by' and 'on' do not name it, 'without' and 'ignoring' do.
 */
static void strip_grouping(struct expr *expr, const struct strip *strip) {
	struct str *names = expr->u.aggregate.grouping;
	size_t count = expr->u.aggregate.grouping_count;
	if (expr->u.aggregate.without) {
		names = with_name(strip->arena, names, &count, strip->label);
	} else {
		count = drop_name(names, count, strip->label);
	}
	expr->u.aggregate.grouping = names;
	expr->u.aggregate.grouping_count = count;
}

static void strip_matching(struct vector_matching *matching, const struct strip *strip) {
	size_t count = matching->label_count;
	if (matching->is_on) {
		(void)drop_name(matching->labels, count, strip->label);
		matching->label_count = drop_name(matching->labels_written, count, strip->label);
		return;
	}
	/* Only printed: the order of 'labels' does not matter. */
	matching->labels_written =
		with_name(strip->arena, matching->labels_written, &count, strip->label);
	matching->labels = matching->labels_written;
	matching->label_count = count;
}

static void strip_selector(struct selector *selector, const struct strip *strip) {
	struct matcher *kept = ARENA_NEW(strip->arena, struct matcher, selector->matcher_count + 1);
	size_t count = 0;
	bool is_selective = false;
	for (size_t i = 0; i < selector->matcher_count; i++) {
		if (!str_equal(selector->matchers[i].name, strip->label)) {
			kept[count++] = selector->matchers[i];
			is_selective |= !matcher_matches_empty(&selector->matchers[i]);
		}
	}
	if (!is_selective) {
		/* {cluster="a"} is every series of a, which has to be asked for in other words. */
		kept[count++] = (struct matcher){
			.op = MATCHER_NOT_EQUAL, .name = LABEL_NAME, .value = STR_EMPTY
		};
	}
	selector->matchers = kept;
	selector->matcher_count = count;
	selector->shift.offset.expr = NULL;
}

static bool strip_node(struct expr *expr, void *context) {
	const struct strip *strip = context;
	if (expr->kind == EXPR_SELECTOR) {
		strip_selector(&expr->u.selector, strip);
	} else if (expr->kind == EXPR_RANGE) {
		expr->u.range.range.expr = NULL;
	} else if (expr->kind == EXPR_SUBQUERY) {
		expr->u.subquery.range.expr = NULL;
		expr->u.subquery.step.expr = NULL;
		expr->u.subquery.shift.offset.expr = NULL;
	} else if (expr->kind == EXPR_AGGREGATE) {
		strip_grouping(expr, strip);
	} else if (expr->kind == EXPR_BINARY && expr->u.binary.matching) {
		strip_matching(expr->u.binary.matching, strip);
	}
	return true;
}

void local_print(struct expr_tree *tree, const struct expr *expr, struct str cluster_label,
	struct buf *out) {
	struct expr *copy = expr_clone(tree, expr);
	struct strip strip = { &tree->arena, cluster_label };
	expr_walk(copy, strip_node, &strip);
	expr_print(copy, out);
}
