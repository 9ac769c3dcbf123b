#include "promql/each.h"

static int each_next(struct stream *stream, struct column *out) {
	struct each *each = CONTAINER_OF(stream, struct each, stream);
	int rc;

	do {
		rc = each->input->next(each->input, out);
	} while (rc > 0 && out->histograms && !each->apply_histograms);
	if (rc <= 0) {
		return rc;
	}
	rc = 0;
	if (out->histograms) {
		rc = each->apply_histograms(each, out);
	} else {
		each->apply(each, out);
	}
	rc = rc < 0 ? rc : eval_work(each->ev, each->grid->count);
	if (rc == 0 && each->drops_name) {
		rc = name_drop_apply(&each->drop, out);
	}
	return rc < 0 ? rc : 1;
}

int each_init(struct each *each, struct eval *ev, struct stream *stream, const struct expr *input,
	const struct grid *grid, bool drops_name) {
	int rc = drops_name ? name_drop_init(&each->drop, ev, input, grid->count, false) : 0;

	each->ev = ev;
	each->grid = grid;
	each->input = stream;
	each->drops_name = drops_name;
	each->stream = (struct stream){
		.next = each_next,
		.keeps = stream->keeps,
		.repeats = stream->repeats || (drops_name && name_drop_repeats(&each->drop)),
	};
	return rc;
}

int each_open(struct each *each, struct eval *ev, struct expr *input, const struct grid *grid,
	bool drops_name) {
	struct stream *stream;
	int rc = eval_stream(ev, input, grid, &stream);

	return rc < 0 ? rc : each_init(each, ev, stream, input, grid, drops_name);
}
