/*
 * label_replace and label_join: series as they are, under other labels.
 */
#include "promql/call.h"
#include "promql/columns.h"

struct relabel;

/* The new value of the label, into 'out'. Returns false to leave the series as it is. */
typedef bool value_fn(const struct relabel *relabel, const struct labels *labels, struct buf *out);

struct relabel {
	struct stream stream;
	struct eval *ev;
	struct stream *input;
	struct guard guard;
	value_fn *value;
	struct str target;
	/* label_replace: */
	struct str source;
	struct str replacement;
	const struct regex *regex;
	/* label_join: */
	struct str separator;
	const struct str *sources;
	size_t source_count;
};

static bool replace_value(
	const struct relabel *relabel, const struct labels *labels, struct buf *out) {
	return regex_expand(
		relabel->regex, labels_get(labels, relabel->source), relabel->replacement, out);
}

static bool join_values(
	const struct relabel *relabel, const struct labels *labels, struct buf *out) {
	for (size_t i = 0; i < relabel->source_count; i++) {
		if (i > 0) {
			buf_add_str(out, relabel->separator);
		}
		buf_add_str(out, labels_get(labels, relabel->sources[i]));
	}
	return true;
}

static int relabel_next(struct stream *stream, struct column *out) {
	struct relabel *relabel = CONTAINER_OF(stream, struct relabel, stream);
	AUTO(buf_deinit) struct buf value = { 0 };
	struct eval *ev = relabel->ev;
	int rc = relabel->input->next(relabel->input, out);

	if (rc <= 0) {
		return rc;
	}
	if (relabel->value(relabel, &out->labels, &value)) {
		struct str kept = arena_copy(&ev->arena, buf_str(&value));

		out->labels = labels_with(&ev->arena, &out->labels, relabel->target, kept);
		if (str_equal(relabel->target, LABEL_NAME)) {
			out->drops_name = false;
		}
	}
	rc = guard_add(&relabel->guard, out);
	return rc < 0 ? rc : 1;
}

static struct str text_arg(const struct expr *call, size_t index) {
	return expr_unparen(call->u.call.args[index])->u.string;
}

static bool is_label_name(struct str name) {
	return name.len > 0 && str_is_utf8(name);
}

static int open_input(
	struct relabel *relabel, struct eval *ev, struct expr *call, const struct grid *grid) {
	struct err *err = ev->err;
	int rc;

	relabel->stream = (struct stream){ .next = relabel_next, .repeats = true };
	relabel->ev = ev;
	relabel->target = text_arg(call, 1);
	if (!is_label_name(relabel->target)) {
		return err_set(err, ERR_EXEC, "invalid destination label name in %.*s(): %.*s",
			STR_ARG(call->u.call.function->name), STR_ARG(relabel->target));
	}
	rc = guard_init(&relabel->guard, ev, grid->count, false);
	rc = rc < 0 ? rc : eval_stream(ev, call->u.call.args[0], grid, &relabel->input);
	if (rc == 0) {
		relabel->stream.keeps = relabel->input->keeps;
	}
	return rc;
}

int call_open_label_replace(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct relabel *relabel = EVAL_NEW(ev, struct relabel, 1);
	struct str pattern = text_arg(call, 4);
	struct err reason;
	int rc;

	if (!relabel) {
		return ERR_LIMIT;
	}
	if (regex_set_add(&ev->tree->regexes, pattern, &relabel->regex, &reason) < 0) {
		return err_set(ev->err, ERR_EXEC,
			"invalid regular expression in label_replace(): %.*s", STR_ARG(pattern));
	}
	relabel->value = replace_value;
	relabel->replacement = text_arg(call, 2);
	relabel->source = text_arg(call, 3);
	rc = open_input(relabel, ev, call, grid);
	if (rc < 0) {
		return rc;
	}
	*out = &relabel->stream;
	return 0;
}

int call_open_label_join(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct relabel *relabel = EVAL_NEW(ev, struct relabel, 1);
	size_t count = call->u.call.count - 3;
	struct str *sources = EVAL_NEW(ev, struct str, count);
	int rc;

	if (!relabel || !sources) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < count; i++) {
		sources[i] = text_arg(call, 3 + i);
		if (!is_label_name(sources[i])) {
			return err_set(ev->err, ERR_EXEC,
				"invalid source label name in label_join(): %.*s",
				STR_ARG(sources[i]));
		}
	}
	relabel->value = join_values;
	relabel->separator = text_arg(call, 2);
	relabel->sources = sources;
	relabel->source_count = count;
	rc = open_input(relabel, ev, call, grid);
	if (rc < 0) {
		return rc;
	}
	*out = &relabel->stream;
	return 0;
}
