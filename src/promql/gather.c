#include "promql/gather.h"

#include "promql/chain.h"
#include "promql/columns.h"
#include "promql/counts.h"
#include "promql/explain.h"
#include "promql/names.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"

#include <stdlib.h>

/* The samples that a series is taken to have. */
#define SAMPLES_GUESS 32
/* Values in a batch: enough to make its hand-over cheap, few enough to stay in the cache. */
#define BATCH_VALUES 16384
#define BATCH_SERIES_MAX 512
/* Batches done ahead, for each lane. */
#define SLOTS_PER_LANE 2

/* Samples held for a column: most of all while it was looked for, and now that it is there. Series
 * before it that gave none may have been longer. */
struct held {
	uint64_t most;
	uint64_t now;
};

/* A batch that was done ahead: its columns, one after the other. */
struct slot {
	bool is_done;
	double *values;                      /* For each column as many as there are steps, */
	uint64_t *present;                   /* its bitmap, */
	const struct histogram **histograms; /* and, once there was one that has any, these. */
	struct parked {
		struct labels labels;
		struct held held;
		bool drops_name;
		bool is_special;
		bool has_histograms;
	} * columns;
	size_t count;
	size_t capacity;
	size_t charged_bytes;
	uint64_t samples_read;
	uint64_t samples_loaded;
	struct held held; /* For series after the last column, which gave none. */
	int rc;           /* Why it ends early; the sentence is in 'err'. */
	struct err err;
};

/* One thread's own evaluation of the chain. */
struct lane {
	struct gather *gather;
	struct eval ev;
	struct err err;
	struct explain_node plan; /* The root of its own nodes. */
	struct stream *stream;    /* NULL: not opened yet. */
	struct leaf *leaf;
	uint64_t held; /* By the opened chain; the query's own holds as much. */
	enum {
		LANE_IDLE,
		LANE_ASKED,
		LANE_WORKS
	} state; /* Guarded by the desk. */
};

/* What a helper that comes late may still look at: it outlives the gather. */
struct desk {
	struct lock lock;
	struct condition changed;
	size_t users GUARDED; /* The gather and each helper asked for; the last one frees it. */
	bool is_closed GUARDED;
	size_t next_batch GUARDED;  /* The first that nobody has taken. */
	size_t taken_batch GUARDED; /* The one whose columns go out now. */
	struct ticket {
		struct desk *desk;
		struct lane *lane; /* Not to be touched when the desk is closed. */
	} tickets[];
};

struct gather {
	struct gather *next;
	struct stream stream;
	struct eval *ev;
	struct expr *expr;
	const struct grid *grid;
	struct leaf *source;       /* What lanes fork. */
	struct explain_node *node; /* What the chain is to the query; NULL: nobody asked. */
	struct desk *desk;
	struct lane *lanes; /* The first is the query's own thread. */
	size_t lane_count;
	struct slot *slots;
	size_t slot_count;
	size_t series_count;
	size_t batch_series;
	size_t batch_count;
	struct guard guard;

	/* The batch whose columns go out: a slot, or the first lane at work. */
	struct slot *current;
	size_t column; /* Of the slot, the next. */
	bool is_direct;
	bool is_done;
	uint64_t direct_read; /* What the first lane had read and loaded before. */
	uint64_t direct_loaded;
	uint64_t held; /* Of the column given last. */
};

bool gather_pays(const struct eval *ev, const struct leaf *leaf, const struct grid *grid) {
	uint64_t least = ev->options->spread_min ? ev->options->spread_min : ENGINE_SPREAD_MIN;
	uint64_t series;

	if (!ev->pool || !leaf->set || !series_set_is_shareable(leaf->set)) {
		return false;
	}
	series = series_set_count(leaf->set);
	return series >= 2 * ev->threads && series * (grid->count + SAMPLES_GUESS) >= least;
}

/* Makes room for another column. */
static int slot_grow(struct gather *gather, struct slot *slot, struct err *err) {
	size_t steps = gather->grid->count;
	size_t words = step_words(steps);
	size_t capacity = slot->capacity ? slot->capacity * 2 : gather->batch_series;
	size_t added = (capacity - slot->capacity) *
		       (steps * sizeof(double) + words * sizeof(uint64_t) + sizeof(struct parked));
	int rc = budget_charge(&gather->ev->budget, added, err);

	if (rc < 0) {
		return rc;
	}
	slot->charged_bytes += added;
	slot->values = memory_resize(slot->values, capacity * steps, sizeof(double));
	slot->present = memory_resize(slot->present, capacity * words, sizeof(uint64_t));
	slot->columns = memory_resize(slot->columns, capacity, sizeof(struct parked));
	if (slot->histograms) {
		slot->histograms = (const struct histogram **)memory_resize(
			(void *)slot->histograms, capacity * steps, sizeof(*slot->histograms));
	}
	slot->capacity = capacity;
	return 0;
}

/* Room for histograms in all columns; they are rare, so it is made when the first comes. */
static int slot_grow_histograms(struct gather *gather, struct slot *slot, struct err *err) {
	size_t count = slot->capacity * gather->grid->count;
	size_t bytes = count * sizeof(*slot->histograms);
	int rc = budget_charge(&gather->ev->budget, bytes, err);

	if (rc < 0) {
		return rc;
	}
	slot->charged_bytes += bytes;
	slot->histograms =
		(const struct histogram **)memory_resize(NULL, count, sizeof(*slot->histograms));
	return 0;
}

static int slot_add(struct gather *gather, struct slot *slot, const struct column *column,
	const struct held *held, struct err *err) {
	size_t steps = gather->grid->count;
	size_t words = step_words(steps);
	size_t at = slot->count;
	int rc = at == slot->capacity ? slot_grow(gather, slot, err) : 0;

	if (rc == 0 && column->histograms && !slot->histograms) {
		rc = slot_grow_histograms(gather, slot, err);
	}
	if (rc < 0) {
		return rc;
	}
	memcpy(slot->values + at * steps, column->values, steps * sizeof(double));
	memcpy(slot->present + at * words, column->present, words * sizeof(uint64_t));
	if (column->histograms) {
		memcpy((void *)(slot->histograms + at * steps), (const void *)column->histograms,
			steps * sizeof(*slot->histograms));
	}
	slot->columns[slot->count++] = (struct parked){
		.labels = column->labels,
		.held = *held,
		.drops_name = column->drops_name,
		.is_special = column->is_special,
		.has_histograms = column->histograms != NULL,
	};
	return 0;
}

static void slot_free(struct gather *gather, struct slot *slot) {
	free(slot->values);
	free(slot->present);
	free((void *)slot->histograms);
	free(slot->columns);
	budget_release(&gather->ev->budget, slot->charged_bytes);
}

/* An evaluation of its own, whose memory is charged to the query's. */
static void lane_init(struct lane *lane, struct gather *gather) {
	struct eval *from = gather->ev;
	struct eval *ev = &lane->ev;

	lane->gather = gather;
	*ev = (struct eval){
		.engine = from->engine,
		.options = from->options,
		.tree = from->tree,
		.control = from->control,
		.err = &lane->err,
		.forked = gather->source->set,
		.lookback_ms = from->lookback_ms,
		.samples_weight = from->samples_weight,
		.is_lane = true,
		.clock = from->clock,
		.explains = from->explains ? &lane->plan : NULL,
	};
	budget_init(&ev->budget, &from->budget, "", 0);
	arena_init(&ev->arena, &ev->budget);
}

static int lane_open(struct lane *lane) {
	struct gather *gather = lane->gather;
	int rc = eval_stream(&lane->ev, gather->expr, gather->grid, &lane->stream);

	if (rc == 0) {
		lane->leaf = lane->ev.leaves;
		lane->leaf->is_part = true;
		lane->held = lane->ev.samples_held;
	}
	return rc;
}

/* Has the lane's next columns come from a batch. */
static int lane_seek(struct lane *lane, size_t batch) {
	struct gather *gather = lane->gather;
	size_t first = batch * gather->batch_series;
	size_t left = gather->series_count - first;
	int rc = lane->stream ? 0 : lane_open(lane);

	if (rc < 0) {
		return rc;
	}
	series_set_seek(lane->leaf->set, first);
	lane->leaf->left = left < gather->batch_series ? left : gather->batch_series;
	return 0;
}

/* The lane's next column, and the samples that were held for it. */
static int lane_next(struct lane *lane, struct column *out, struct held *held) {
	int rc;

	/* What is held for the column before is not this one's. */
	lane->ev.samples_peak = 0;
	rc = lane->stream->next(lane->stream, out);
	held->now = lane->ev.samples_held - lane->held;
	held->most = lane->ev.samples_peak > lane->ev.samples_held
			     ? lane->ev.samples_peak - lane->held
			     : held->now;
	return rc;
}

/* Does a batch ahead. */
static void lane_fill(struct lane *lane, size_t batch, struct slot *slot) {
	uint64_t read = lane->ev.samples_read;
	uint64_t loaded = lane->ev.samples_loaded;
	struct column column;
	struct held held = { 0 };
	int rc = lane_seek(lane, batch);

	slot->count = 0;
	while (rc >= 0 && (rc = lane_next(lane, &column, &held)) > 0) {
		rc = slot_add(lane->gather, slot, &column, &held, &lane->err);
	}
	slot->rc = rc;
	slot->held = held;
	slot->samples_read = lane->ev.samples_read - read;
	slot->samples_loaded = lane->ev.samples_loaded - loaded;
	if (rc < 0) {
		slot->err = lane->err;
	}
}

/* A batch that can be done ahead. The caller has the desk's lock. */
NO_THREAD_ANALYSIS static bool desk_take(struct gather *gather, size_t *batch) {
	struct desk *desk = gather->desk;

	if (desk->next_batch == gather->batch_count ||
		desk->next_batch >= desk->taken_batch + gather->slot_count) {
		return false;
	}
	*batch = desk->next_batch++;
	gather->slots[*batch % gather->slot_count].is_done = false;
	return true;
}

/* Does one batch ahead; the desk's lock, which the caller has, is let go of meanwhile. */
NO_THREAD_ANALYSIS static void work_ahead(struct lane *lane, size_t batch) {
	struct gather *gather = lane->gather;
	struct slot *slot = &gather->slots[batch % gather->slot_count];

	lock_drop(&gather->desk->lock);
	lane_fill(lane, batch, slot);
	lock_take(&gather->desk->lock);
	slot->is_done = true;
	if (slot->rc < 0) {
		/* The query ends there; what comes after is not worth the work. */
		gather->desk->next_batch = gather->batch_count;
	}
	condition_broadcast(&gather->desk->changed);
}

NO_THREAD_ANALYSIS static void desk_leave(struct desk *desk) {
	bool is_last;

	lock_take(&desk->lock);
	is_last = --desk->users == 0;
	lock_drop(&desk->lock);
	if (is_last) {
		condition_deinit(&desk->changed);
		lock_deinit(&desk->lock);
		free(desk);
	}
}

/* A helper: works until there is no batch to be had. */
NO_THREAD_ANALYSIS static void help(void *context) {
	const struct ticket *ticket = context;
	struct desk *desk = ticket->desk;
	struct lane *lane = ticket->lane;
	size_t batch;

	lock_take(&desk->lock);
	if (!desk->is_closed) {
		lane->state = LANE_WORKS;
		while (!desk->is_closed && desk_take(lane->gather, &batch)) {
			work_ahead(lane, batch);
		}
		lane->state = LANE_IDLE;
		condition_broadcast(&desk->changed);
	}
	lock_drop(&desk->lock);
	desk_leave(desk);
}

/* Whether there is work for a lane that has none; then it counts as asked. */
NO_THREAD_ANALYSIS static bool lane_is_wanted(struct gather *gather, struct lane *lane) {
	struct desk *desk = gather->desk;
	bool is_wanted;

	lock_take(&desk->lock);
	is_wanted = lane->state == LANE_IDLE && desk->next_batch < gather->batch_count &&
		    desk->next_batch < desk->taken_batch + gather->slot_count;
	if (is_wanted) {
		lane->state = LANE_ASKED;
		desk->users++;
	}
	lock_drop(&desk->lock);
	return is_wanted;
}

NO_THREAD_ANALYSIS static void ask_for_help(struct gather *gather) {
	struct desk *desk = gather->desk;

	for (size_t i = 1; i < gather->lane_count; i++) {
		if (!lane_is_wanted(gather, &gather->lanes[i]) ||
			pool_submit(gather->ev->pool, help, &desk->tickets[i])) {
			continue;
		}
		lock_take(&desk->lock);
		gather->lanes[i].state = LANE_IDLE;
		desk->users--;
		lock_drop(&desk->lock);
	}
}

/*
 * Gets at the batch whose turn it is: one done ahead, or one that nobody has begun, which this
 * thread then does as its columns are asked for. While another lane is at it, helps with others.
 */
NO_THREAD_ANALYSIS static int begin_batch(struct gather *gather, bool *is_mine) {
	struct desk *desk = gather->desk;
	struct lane *own = &gather->lanes[0];
	size_t turn;

	lock_take(&desk->lock);
	turn = desk->taken_batch;
	gather->current = &gather->slots[turn % gather->slot_count];
	*is_mine = desk->next_batch == turn;
	if (*is_mine) {
		desk->next_batch++;
	}
	while (!*is_mine && !gather->current->is_done) {
		size_t batch;

		if (desk_take(gather, &batch)) {
			work_ahead(own, batch);
		} else {
			condition_wait(&desk->changed, &desk->lock);
		}
	}
	lock_drop(&desk->lock);
	gather->column = 0;
	gather->direct_read = own->ev.samples_read;
	gather->direct_loaded = own->ev.samples_loaded;
	return *is_mine ? lane_seek(own, turn) : 0;
}

/* Counts what the batch read, and frees its place. */
NO_THREAD_ANALYSIS static void end_batch(struct gather *gather) {
	struct desk *desk = gather->desk;

	if (gather->is_direct) {
		const struct eval *own = &gather->lanes[0].ev;

		gather->ev->samples_read += own->samples_read - gather->direct_read;
		gather->ev->samples_loaded += own->samples_loaded - gather->direct_loaded;
	} else {
		gather->ev->samples_read += gather->current->samples_read;
		gather->ev->samples_loaded += gather->current->samples_loaded;
	}
	gather->current = NULL;
	lock_take(&desk->lock);
	desk->taken_batch++;
	gather->is_done = desk->taken_batch == gather->batch_count;
	lock_drop(&desk->lock);
}

/* The next column of the batch. Returns 1, 0 at its end, or an error. */
static int next_of_batch(struct gather *gather, struct column *out, struct held *held) {
	struct slot *slot = gather->current;
	size_t steps = gather->grid->count;
	size_t at = gather->column;
	struct lane *own = &gather->lanes[0];
	int rc;

	if (gather->is_direct) {
		rc = lane_next(own, out, held);
		if (rc < 0) {
			*gather->ev->err = own->err;
		}
		return rc;
	}
	if (at == slot->count) {
		*held = slot->held;
		if (slot->rc < 0) {
			*gather->ev->err = slot->err;
		}
		return slot->rc;
	}
	gather->column++;
	*held = slot->columns[at].held;
	*out = (struct column){
		.labels = slot->columns[at].labels,
		.values = slot->values + at * steps,
		.present = slot->present + at * step_words(steps),
		.histograms =
			slot->columns[at].has_histograms ? slot->histograms + at * steps : NULL,
		.drops_name = slot->columns[at].drops_name,
		.is_special = slot->columns[at].is_special,
	};
	return 1;
}

/* Gives back what the lanes held, and takes over their notes. */
static void finish(struct gather *gather) {
	struct eval *ev = gather->ev;

	for (size_t i = 0; i < gather->lane_count; i++) {
		struct lane *lane = &gather->lanes[i];

		notes_merge(&ev->notes, &ev->arena, &lane->ev.notes, 0, 0);
		if (ev->counts) {
			counts_merge(ev->counts, lane->ev.counts);
		}
		if (lane->leaf) {
			leaf_close(&lane->ev, lane->leaf);
		}
	}
	leaf_close(ev, gather->source);
	for (size_t i = 0; i < gather->slot_count; i++) {
		slot_free(gather, &gather->slots[i]);
	}
	gather->slot_count = 0;
}

/* Waits until no helper is at work; from then on none begins. */
NO_THREAD_ANALYSIS static void close_desk(struct gather *gather) {
	struct desk *desk = gather->desk;

	lock_take(&desk->lock);
	desk->is_closed = true;
	for (size_t i = 1; i < gather->lane_count; i++) {
		while (gather->lanes[i].state == LANE_WORKS) {
			condition_wait(&desk->changed, &desk->lock);
		}
	}
	lock_drop(&desk->lock);
}

/* Takes a column over from whichever lane made it. */
static int take_column(struct gather *gather, struct column *column, const struct held *held) {
	struct eval *ev = gather->ev;
	int rc = eval_hold(ev, held->most);

	eval_drop(ev, held->most - held->now);
	gather->held = held->now;
	rc = rc < 0 ? rc : eval_work(ev, gather->grid->count);
	if (rc == 0 && column->is_special) {
		column->is_special = false;
		rc = guard_add(&gather->guard, column);
	}
	return rc < 0 ? rc : 1;
}

static int gather_next(struct stream *stream, struct column *out) {
	struct gather *gather = CONTAINER_OF(stream, struct gather, stream);
	struct held held = { 0 };
	int rc;

	eval_drop(gather->ev, gather->held);
	gather->held = 0;
	while (!gather->is_done) {
		if (!gather->current) {
			ask_for_help(gather);
			rc = begin_batch(gather, &gather->is_direct);
			if (rc < 0) {
				*gather->ev->err = gather->lanes[0].err;
				return rc;
			}
		}
		rc = next_of_batch(gather, out, &held);
		if (rc != 0) {
			return rc < 0 ? rc : take_column(gather, out, &held);
		}
		rc = eval_hold(gather->ev, held.most);
		if (rc < 0) {
			return rc;
		}
		eval_drop(gather->ev, held.most);
		end_batch(gather);
	}
	close_desk(gather);
	finish(gather);
	return 0;
}

NO_THREAD_ANALYSIS static struct desk *desk_new(struct gather *gather) {
	struct desk *desk =
		memory_alloc(1, sizeof(*desk) + gather->lane_count * sizeof(desk->tickets[0]));

	lock_init(&desk->lock, LOCK_RANK_LEAF);
	condition_init(&desk->changed);
	desk->users = 1;
	for (size_t i = 0; i < gather->lane_count; i++) {
		desk->tickets[i] = (struct ticket){ desk, &gather->lanes[i] };
	}
	return desk;
}

/* Cuts the series into batches. */
static void cut(struct gather *gather) {
	size_t lanes = gather->lane_count;
	size_t fair = gather->series_count / (SLOTS_PER_LANE * lanes) + 1;
	size_t series = BATCH_VALUES / gather->grid->count + 1;

	series = series < BATCH_SERIES_MAX ? series : BATCH_SERIES_MAX;
	gather->batch_series = series < fair ? series : fair;
	gather->batch_count =
		(gather->series_count + gather->batch_series - 1) / gather->batch_series;
}

int gather_open(struct eval *ev, struct expr *expr, const struct grid *grid, struct leaf *leaf,
	const struct stream *stream, struct stream **out) {
	struct gather *gather = EVAL_NEW(ev, struct gather, 1);

	if (!gather) {
		return ERR_LIMIT;
	}
	gather->stream = (struct stream){ .next = gather_next, .repeats = stream->repeats };
	gather->ev = ev;
	gather->expr = expr;
	gather->grid = grid;
	gather->source = leaf;
	gather->node = ev->explains;
	gather->series_count = series_set_count(leaf->set);
	gather->lane_count = ev->threads;
	gather->slot_count = SLOTS_PER_LANE * gather->lane_count;
	cut(gather);
	gather->lanes = EVAL_NEW(ev, struct lane, gather->lane_count);
	gather->slots = EVAL_NEW(ev, struct slot, gather->slot_count);
	if (!gather->lanes || !gather->slots ||
		guard_init(&gather->guard, ev, grid->count, chain_has_range(expr)) < 0) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < gather->lane_count; i++) {
		lane_init(&gather->lanes[i], gather);
		if (!ev->counts) {
			continue;
		}
		gather->lanes[i].ev.counts =
			counts_new(ev, ev->counts->step_count, ev->counts->used != NULL);
		if (!gather->lanes[i].ev.counts) {
			return ERR_LIMIT;
		}
	}
	gather->desk = desk_new(gather);
	gather->next = ev->gathers;
	ev->gathers = gather;
	*out = &gather->stream;
	return 0;
}

void gather_explain(struct gather *gather) {
	for (; gather; gather = gather->next) {
		close_desk(gather);
		for (size_t i = 0; i < gather->lane_count; i++) {
			const struct explain_node *plan = gather->lanes[i].plan.first;

			if (plan) {
				explain_merge(gather->node, plan);
			}
		}
	}
}

void gather_free(struct gather *gather) {
	struct gather *next;

	for (; gather; gather = next) {
		next = gather->next;
		close_desk(gather);
		for (size_t i = 0; i < gather->lane_count; i++) {
			eval_deinit(&gather->lanes[i].ev);
		}
		for (size_t i = 0; i < gather->slot_count; i++) {
			slot_free(gather, &gather->slots[i]);
		}
		desk_leave(gather->desk);
	}
}
