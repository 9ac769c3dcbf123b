/*
 * The tree of a PromQL expression: what the parser builds, the printer prints, the hub rewrites and
 * the engine evaluates.
 *
 * Nodes live in one arena with the strings they hold; regexes in the tree's regex set. A tree may
 * be rewritten in place by its owner (new nodes from the same arena). Two kinds of leaf read data:
 * a selector, from a store; and EXPR_STEPS, which the parser never makes: a finished matrix that
 * somebody (the hub) already has, standing where an expression stood.
 */
#ifndef PROMQL_AST_H
#define PROMQL_AST_H

#include "base/arena.h"
#include "label/matcher.h"
#include "label/regex.h"
#include "promql/steps.h"

#include <stdint.h>

enum value_type {
	VALUE_NONE,
	VALUE_SCALAR,
	VALUE_STRING,
	VALUE_VECTOR,
	VALUE_MATRIX
};

enum expr_kind {
	EXPR_NUMBER,    /* 1, 0x1f, Inf, 5m */
	EXPR_STRING,    /* "text" */
	EXPR_SELECTOR,  /* name{label="value"} offset 5m @ 12 */
	EXPR_RANGE,     /* selector[5m]: 'range.selector' holds offset and @ */
	EXPR_SUBQUERY,  /* expr[1h:5m] offset 5m @ 12 */
	EXPR_CALL,      /* function(args...) */
	EXPR_AGGREGATE, /* sum by (a) (expr) */
	EXPR_BINARY,    /* left op right */
	EXPR_UNARY,     /* -expr, +expr */
	EXPR_PAREN,     /* (expr) */
	EXPR_STEPS,     /* A finished matrix; see above. */
};

enum binary_op {
	BINARY_ADD,
	BINARY_SUB,
	BINARY_MUL,
	BINARY_DIV,
	BINARY_MOD,
	BINARY_POW,
	BINARY_ATAN2,
	BINARY_EQL,
	BINARY_NEQ,
	BINARY_LSS,
	BINARY_GTR,
	BINARY_LTE,
	BINARY_GTE,
	BINARY_AND,
	BINARY_OR,
	BINARY_UNLESS,
	BINARY_TRIM_UPPER, /* </ */
	BINARY_TRIM_LOWER, /* >/ */
};

enum aggregate_op {
	AGGREGATE_SUM,
	AGGREGATE_AVG,
	AGGREGATE_COUNT,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
	AGGREGATE_GROUP,
	AGGREGATE_STDDEV,
	AGGREGATE_STDVAR,
	AGGREGATE_TOPK,
	AGGREGATE_BOTTOMK,
	AGGREGATE_COUNT_VALUES,
	AGGREGATE_QUANTILE,
	AGGREGATE_LIMITK,
	AGGREGATE_LIMIT_RATIO,
};

/* How many series of one side match one of the other. */
enum match_card {
	MATCH_ONE_TO_ONE,
	MATCH_MANY_TO_ONE,
	MATCH_ONE_TO_MANY,
	MATCH_MANY_TO_MANY
};

enum at_kind {
	AT_NONE,
	AT_TIME,
	AT_START,
	AT_END
};

/* Where in the query's text a node stands, in bytes; [start, end). */
struct text_range {
	uint32_t start;
	uint32_t end;
};

enum duration_op {
	DURATION_NUMBER, /* 'seconds', written as a number or as a duration. */
	DURATION_STEP,   /* step(): the query's step. */
	DURATION_RANGE,  /* range(): from the query's start to its end. */
	DURATION_PLUS,   /* +right; stands for the parentheses around a number. */
	DURATION_NEGATE, /* -right */
	DURATION_ADD,
	DURATION_SUB,
	DURATION_MUL,
	DURATION_DIV,
	DURATION_MOD,
	DURATION_POW,
	DURATION_MIN_OF,
	DURATION_MAX_OF,
};

/* Arithmetic in [] and after offset. */
struct duration_expr {
	enum duration_op op;
	struct text_range text;
	double seconds;
	bool is_duration; /* A number written as a duration: prints as one. */
	bool is_wrapped;  /* In parentheses. */
	const struct duration_expr *left;
	const struct duration_expr *right;
};

/*
 * A duration as written: a literal, or an expression over step() and range() that has its value
 * only when the query's grid is known (expr_resolve_durations then fills 'ms').
 */
struct duration {
	int64_t ms;                       /* A literal's value; an expression's, once resolved. */
	const struct duration_expr *expr; /* NULL: a literal. */
};

/* offset and @ of a selector or subquery. */
struct time_shift {
	struct duration offset; /* As written; positive looks back. */
	enum at_kind at;
	int64_t at_ms; /* For AT_TIME. */
};

struct selector {
	struct str metric_name; /* Written before the braces; empty if none. Also among the
				   matchers. */
	struct matcher *matchers;
	size_t matcher_count;
	struct time_shift shift;
	bool anchored; /* anchored and smoothed: experimental range semantics. */
	bool smoothed;
	/* Of histograms only count and sum are looked at; filled in by engine_prepare. */
	bool skips_buckets;
	/* Of the series' labels only these matter to the query; likewise, and if 'is_projected'. */
	const struct str *wanted;
	size_t wanted_count;
	bool is_projected;
	bool wants_starts; /* The samples' start timestamps matter; likewise. */
};

struct function; /* promql/function.h: name, argument types, result type. */

struct vector_matching {
	enum match_card card;
	bool is_on;         /* on (...) rather than ignoring (...). */
	bool is_written;    /* on or ignoring was given at all. */
	struct str *labels; /* Sorted for evaluation; 'labels_written' keeps their order. */
	struct str *labels_written;
	size_t label_count;
	struct str *include; /* group_left (include...) */
	size_t include_count;
	bool has_fill_left; /* fill_left (n), fill_right (n), fill (n): experimental. */
	bool has_fill_right;
	double fill_left;
	double fill_right;
};

struct expr {
	enum expr_kind kind;
	enum value_type type;
	struct text_range text;
	/* Equal vectors have the same number above 0; filled in by engine_prepare. */
	uint32_t shared;
	union {
		struct {
			double value;
			bool is_duration; /* Written as a duration: prints as one. */
		} number;
		struct str string;
		struct selector selector;
		struct {
			struct expr *selector; /* EXPR_SELECTOR */
			struct duration range;
		} range;
		struct {
			struct expr *expr;
			struct duration range;
			struct duration
				step; /* Meaningful if has_step; else the engine's default. */
			bool has_step;
			struct time_shift shift;
		} subquery;
		struct {
			const struct function *function;
			struct expr **args;
			size_t count;
		} call;
		struct {
			enum aggregate_op op;
			bool without;         /* without (...) rather than by (...). */
			bool is_grouped;      /* by or without was written. */
			struct str *grouping; /* As written. */
			size_t grouping_count;
			struct expr *param; /* NULL for aggregators without one. */
			struct expr *expr;
		} aggregate;
		struct {
			enum binary_op op;
			bool is_bool; /* a comparison with the bool modifier */
			struct expr *left;
			struct expr *right;
			struct vector_matching *matching; /* NULL if a side is a scalar. */
		} binary;
		struct {
			bool negative;
			struct expr *expr;
		} unary;
		struct expr *paren;
		struct {
			const struct steps *steps; /* Borrowed; outlives the evaluation. */
			/* What the matrix answers, for explain; may be empty. */
			struct str label;
		} steps;
	} u;
};

/* An expression with everything its nodes point to. { 0 } is empty. */
struct expr_tree {
	struct arena arena;
	struct regex_set regexes;
	struct str text; /* A copy of what was parsed. */
	struct expr *root;
};

/* Frees the tree with all its nodes; it is empty and usable after. */
void expr_tree_deinit(struct expr_tree *tree);

/* A zeroed node of 'kind' in the tree's arena. */
struct expr *expr_new(struct expr_tree *tree, enum expr_kind kind, enum value_type type);
/* A deep copy of 'expr' into 'tree' (regexes are shared, so they must live in 'tree'). */
struct expr *expr_clone(struct expr_tree *tree, const struct expr *expr);

/* Calls 'visit' for 'expr' and, while it returns true, for what stands below it, parents first. */
typedef bool expr_visit_fn(struct expr *expr, void *context);
void expr_walk(struct expr *expr, expr_visit_fn *visit, void *context);

/* The direct children, left to right; returns how many (at most 'max' are written). */
size_t expr_children(struct expr *expr, struct expr **children[], size_t max);

/*
 * Gives every duration expression in the tree its value for a query from 'start_ms' to 'end_ms'
 * with 'step_ms' (0 for an instant query). Returns 0, or ERR_INVAL for one that is not a duration
 * (NaN, infinite, out of range, or not positive in []).
 */
MUST_USE int expr_resolve_durations(
	struct expr *root, int64_t start_ms, int64_t end_ms, int64_t step_ms, struct err *err);

/* Inside any parentheses. */
struct expr *expr_unparen(struct expr *expr);

/* As written in PromQL: "+", "and", "sum". */
const char *binary_op_text(enum binary_op op);
const char *aggregate_op_text(enum aggregate_op op);
/* As messages call it: "instant vector", ... */
const char *value_type_text(enum value_type type);
/* == != < > <= >=, and: and or unless. */
bool binary_op_is_comparison(enum binary_op op);
bool binary_op_is_set(enum binary_op op);

#endif
