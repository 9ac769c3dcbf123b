#include "promql/eval.h"

#include "promql/histogram.h"

#include "base/check.h"

int leaf_open(struct eval *ev, const struct selector *selector, int64_t min_ms, int64_t max_ms,
	struct leaf **out) {
	struct leaf *leaf = EVAL_NEW(ev, struct leaf, 1);
	struct select_request request = {
		.matchers = selector->matchers,
		.matcher_count = selector->matcher_count,
		.min_ms = min_ms,
		.max_ms = max_ms,
		.wanted = selector->wanted,
		.wanted_count = selector->wanted_count,
		.is_projected = selector->is_projected,
		.wants_starts = selector->wants_starts,
		.canceled = ev->control ? &ev->control->canceled : NULL,
	};
	int rc;

	if (!leaf) {
		return ERR_LIMIT;
	}
	leaf->samples.budget = &ev->budget;
	leaf->skips_buckets = selector->skips_buckets;
	CHECK(ev->is_lane || ev->store != NULL);
	rc = ev->is_lane ? series_set_fork(ev->forked, &ev->arena, &leaf->set, ev->err)
			 : store_select(ev->store, &request, &ev->arena, &leaf->set, ev->err);
	if (rc < 0) {
		return rc;
	}
	leaf->next = ev->leaves;
	ev->leaves = leaf;
	*out = leaf;
	return 0;
}

/*
 * Leaves count and sum of each histogram, and as its hint what the buckets say about a reset since
 * the one before.
 */
static int strip_buckets(struct eval *ev, struct sample_column *samples) {
	struct histogram *stripped = EVAL_NEW(ev, struct histogram, samples->count);
	const struct histogram *before = NULL;

	if (!stripped) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < samples->count; i++) {
		const struct histogram *it = samples->histograms[i];

		if (!it) {
			continue;
		}
		stripped[i] = (struct histogram){
			.hint = it->hint, .schema = it->schema, .count = it->count, .sum = it->sum
		};
		if (!histogram_is_stale(it)) {
			if (before && it->hint == HISTOGRAM_UNKNOWN) {
				stripped[i].hint = histogram_was_reset(it, before)
							   ? HISTOGRAM_RESET
							   : HISTOGRAM_NOT_RESET;
			}
			before = it;
		}
		samples->histograms[i] = &stripped[i];
	}
	return 0;
}

int leaf_next(struct eval *ev, struct leaf *leaf) {
	int rc;

	if (leaf->is_part && leaf->left-- == 0) {
		leaf->left = 0;
		return 0;
	}
	rc = series_set_next(leaf->set, ev->err);
	if (rc <= 0) {
		leaf_close(ev, leaf);
		return rc;
	}
	rc = series_set_read(leaf->set, &leaf->samples, ev->err);
	if (rc < 0) {
		return rc;
	}
	if (leaf->samples.has_histograms && leaf->skips_buckets) {
		rc = strip_buckets(ev, &leaf->samples);
	}
	if (rc < 0) {
		return rc;
	}
	ev->samples_loaded += leaf->samples.count;
	rc = eval_work(ev, leaf->samples.count + 1);
	return rc < 0 ? rc : 1;
}

void leaf_close(struct eval *ev UNUSED, struct leaf *leaf) {
	if (leaf->set) {
		series_set_close(leaf->set);
		leaf->set = NULL;
	}
	sample_column_deinit(&leaf->samples);
}
