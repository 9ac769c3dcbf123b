#include "promql/explain.h"

#include "promql/print.h"

struct explain_node *explain_new(
	struct eval *ev, const struct expr *expr, const struct grid *grid) {
	struct explain_node *node = EVAL_NEW(ev, struct explain_node, 1);
	struct explain_node **last = &ev->explains->first;
	struct buf text = { 0 };

	if (!node) {
		return NULL;
	}
	expr_print_node(expr, &text);
	node->text = arena_copy(&ev->arena, buf_str(&text));
	node->step_count = grid->count;
	buf_deinit(&text);
	while (*last) {
		last = &(*last)->next;
	}
	*last = node;
	return node;
}

struct explain_span explain_enter(struct eval *ev, struct explain_node *node) {
	struct explain_span span = {
		.outer = ev->explains,
		.start_ns = clock_mono_ns(ev->clock),
		.samples = ev->samples_loaded,
		.bytes = budget_used(&ev->budget),
	};

	ev->explains = node;
	return span;
}

void explain_leave(struct eval *ev, struct explain_node *node, const struct explain_span *span) {
	uint64_t bytes = budget_used(&ev->budget);

	node->ns += clock_mono_ns(ev->clock) - span->start_ns;
	node->samples += ev->samples_loaded - span->samples;
	node->bytes += bytes > span->bytes ? bytes - span->bytes : 0;
	ev->explains = span->outer;
}

struct explained {
	struct stream stream;
	struct eval *ev;
	struct stream *input;
	struct explain_node *node;
};

static int explained_next(struct stream *stream, struct column *out) {
	struct explained *explained = CONTAINER_OF(stream, struct explained, stream);
	struct explain_node *node = explained->node;
	struct explain_span span = explain_enter(explained->ev, node);
	int rc = explained->input->next(explained->input, out);

	if (rc > 0) {
		node->series++;
		node->values += present_count(out->present, node->step_count);
	}
	explain_leave(explained->ev, node, &span);
	return rc;
}

int explain_stream(struct eval *ev, struct expr *expr, const struct grid *grid, eval_open_fn *open,
	struct stream **out) {
	struct explained *explained = EVAL_NEW(ev, struct explained, 1);
	struct explain_node *node = explained ? explain_new(ev, expr, grid) : NULL;
	struct explain_span span;
	int rc;

	if (!node) {
		return ERR_LIMIT;
	}
	explained->ev = ev;
	explained->node = node;
	span = explain_enter(ev, node);
	rc = open(ev, expr, grid, &explained->input);
	explain_leave(ev, node, &span);
	if (rc < 0) {
		return rc;
	}
	explained->stream = (struct stream){
		.next = explained_next,
		.keeps = explained->input->keeps,
		.repeats = explained->input->repeats,
	};
	*out = &explained->stream;
	return rc;
}

static void add_node(struct explain_node *to, const struct explain_node *from) {
	/* A scalar is one, however many threads had to know it. */
	to->series = to->is_scalar ? to->series : to->series + from->series;
	to->values = to->is_scalar ? to->values : to->values + from->values;
	to->samples += from->samples;
	to->bytes += from->bytes;
	to->ns += from->ns;
	explain_merge(to, from);
}

void explain_merge(struct explain_node *to, const struct explain_node *from) {
	struct explain_node *own = to->first;

	for (const struct explain_node *other = from->first; other && own; other = other->next) {
		add_node(own, other);
		own = own->next;
	}
}

int explain_copy(struct arena *arena, const struct explain_node *root, struct explain_node **out,
	struct err *err) {
	struct explain_node *first = NULL;
	struct explain_node **last = &first;

	for (const struct explain_node *node = root->first; node; node = node->next) {
		struct explain_node *copy = ARENA_TRY_NEW(arena, struct explain_node, 1, err);
		struct explain_node *below = NULL;

		if (!copy || explain_copy(arena, node, &below, err) < 0) {
			return ERR_LIMIT;
		}
		*copy = *node;
		/* What an operand freed again was taken all the same. */
		for (const struct explain_node *it = below; it; it = it->next) {
			copy->bytes = copy->bytes > it->bytes ? copy->bytes : it->bytes;
		}
		copy->text = arena_copy(arena, node->text);
		copy->first = below;
		copy->next = NULL;
		*last = copy;
		last = &copy->next;
	}
	*out = first;
	return 0;
}
