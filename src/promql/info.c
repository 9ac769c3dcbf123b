/*
 * info(): series get labels from info series (target_info), those that agree in instance and job.
 *
 * The info series are looked at as of the time that the first argument's own selector looks at.
 * Where several of one metric fit at a step, the one with the newest sample counts.
 */
#include "promql/call.h"
#include "promql/columns.h"
#include "promql/groups.h"
#include "promql/select.h"

#include "base/check.h"

#define ID_COUNT ((size_t)2)
#define NONE UINT32_MAX

static const struct str id_names[ID_COUNT] = { { "instance", 8 }, { "job", 3 } };

/* The info series of one metric and one identity. */
struct slot {
	struct slot *next; /* Of the same identity. */
	struct str name;
	struct column_list series; /* Values are the samples' times in seconds. */
};

/* One way to enrich a series, for the steps at which it applies. */
struct enriched {
	struct enriched *next;
	const uint32_t *choice; /* Per slot of the identity, which of its series; or NONE. */
	bool is_dropped;        /* Nothing fits, and something has to. */
	struct column column;
};

struct info {
	struct stream stream;
	struct eval *ev;
	struct expr *call;
	const struct grid *grid;
	struct stream *input;
	struct matcher *names; /* On __name__, of the info series. */
	size_t name_count;
	struct matcher *data; /* On other labels; only these are taken, if there are any. */
	size_t data_count;
	struct groups values[ID_COUNT]; /* Of each identifying label, in the series to enrich. */
	struct groups identities;       /* Of the info series. */
	struct slot **slots;            /* By identity. */
	size_t slot_capacity;
	struct column_list base;
	size_t next_base;
	struct enriched *pending; /* Of the series before next_base. */
	struct guard guard;
	bool is_done;
};

/* Matchers. */

static bool is_positive(const struct matcher *matcher) {
	return matcher->op == MATCHER_EQUAL || matcher->op == MATCHER_REGEX;
}

/* Without a word on which metric: target_info, or whatever else ends in _info. */
static int complete_names(struct info *info) {
	struct matcher *matcher = &info->names[info->name_count];

	for (size_t i = 0; i < info->name_count; i++) {
		if (is_positive(&info->names[i])) {
			return 0;
		}
	}
	info->name_count++;
	if (info->name_count == 1) {
		*matcher = (struct matcher){ MATCHER_EQUAL, LABEL_NAME, STR("target_info"), NULL };
		return 0;
	}
	*matcher = (struct matcher){ MATCHER_REGEX, LABEL_NAME, STR(".+_info"), NULL };
	return regex_set_add(
		&info->ev->tree->regexes, matcher->value, &matcher->regex, info->ev->err);
}

static int split_matchers(struct info *info) {
	bool has_selector = info->call->u.call.count > 1;
	const struct expr *arg = has_selector ? info->call->u.call.args[1] : NULL;
	size_t count = has_selector ? arg->u.selector.matcher_count : 0;

	info->names = EVAL_NEW(info->ev, struct matcher, count + 1);
	info->data = EVAL_NEW(info->ev, struct matcher, count + 1);
	if (!info->names || !info->data) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < count; i++) {
		const struct matcher *matcher = &arg->u.selector.matchers[i];

		if (str_equal(matcher->name, LABEL_NAME)) {
			info->names[info->name_count++] = *matcher;
		} else {
			info->data[info->data_count++] = *matcher;
		}
	}
	return complete_names(info);
}

/* Whether a series is an info series itself, and stays as it is. */
static bool is_info_series(const struct info *info, const struct labels *labels) {
	struct str name = labels_get(labels, LABEL_NAME);

	for (size_t i = 0; i < info->name_count; i++) {
		if (!matcher_matches(&info->names[i], name)) {
			return false;
		}
	}
	return true;
}

/* Reading the info series. */

/* The offset and @ of the first selector below, with those of the subqueries around it. */
static bool find_shift(struct expr *expr, struct time_shift *shift) {
	struct expr **children[FUNCTION_ARGS_MAX + 8];
	size_t count;

	if (expr->kind == EXPR_SELECTOR) {
		*shift = expr->u.selector.shift;
		return true;
	}
	count = expr_children(expr, children, ARRAY_COUNT(children));
	for (size_t i = 0; i < count && i < ARRAY_COUNT(children); i++) {
		if (!find_shift(*children[i], shift)) {
			continue;
		}
		if (expr->kind == EXPR_SUBQUERY && shift->at == AT_NONE) {
			shift->offset.ms += expr->u.subquery.shift.offset.ms;
			shift->at = expr->u.subquery.shift.at;
			shift->at_ms = expr->u.subquery.shift.at_ms;
		}
		return true;
	}
	return false;
}

static struct slot *find_slot(struct info *info, size_t identity, struct str name) {
	struct slot **at = &info->slots[identity];

	while (*at && !str_equal((*at)->name, name)) {
		at = &(*at)->next;
	}
	if (!*at) {
		*at = EVAL_NEW(info->ev, struct slot, 1);
		if (*at) {
			(*at)->name = name;
		}
	}
	return *at;
}

static int grow_slots(struct info *info) {
	size_t capacity = info->slot_capacity ? info->slot_capacity * 2 : 16;
	struct slot **slots = EVAL_NEW(info->ev, struct slot *, capacity);

	if (!slots) {
		return ERR_LIMIT;
	}
	if (info->slot_capacity > 0) {
		memcpy(slots, info->slots, info->slot_capacity * sizeof(struct slot *));
	}
	info->slots = slots;
	info->slot_capacity = capacity;
	return 0;
}

static int add_info_series(
	struct info *info, const struct stream *stream, const struct column *column) {
	struct column kept;
	struct slot *slot;
	size_t identity;
	int rc;

	for (size_t i = 0; i < ID_COUNT; i++) {
		size_t value;

		if (info->values[i].count > 0 &&
			!groups_find(&info->values[i], &column->labels, &value)) {
			return 0;
		}
	}
	rc = groups_add(&info->identities, &column->labels, &identity);
	rc = rc == 0 && identity >= info->slot_capacity ? grow_slots(info) : rc;
	if (rc < 0) {
		return rc;
	}
	slot = find_slot(info, identity, labels_get(&column->labels, LABEL_NAME));
	rc = slot ? column_keep(info->ev, stream, column, info->grid->count, &kept) : ERR_LIMIT;
	return rc < 0 ? rc : column_list_add(info->ev, &slot->series, &kept);
}

/* All matchers on the info series, and that they have the labels that identify. */
static int build_selector(struct info *info, struct selector *out) {
	size_t count = info->name_count + info->data_count;
	struct matcher *matchers = EVAL_NEW(info->ev, struct matcher, count + ID_COUNT);
	struct time_shift shift = { 0 };

	if (!matchers) {
		return ERR_LIMIT;
	}
	memcpy(matchers, info->names, info->name_count * sizeof(*matchers));
	memcpy(matchers + info->name_count, info->data, info->data_count * sizeof(*matchers));
	for (size_t i = 0; i < ID_COUNT; i++) {
		const struct groups *values = &info->values[i];

		if (values->count == 1) {
			struct str only = labels_get(&values->examples[0], id_names[i]);

			matchers[count++] =
				(struct matcher){ MATCHER_EQUAL, id_names[i], only, NULL };
		} else if (values->count > 1) {
			matchers[count++] =
				(struct matcher){ MATCHER_NOT_EQUAL, id_names[i], STR_EMPTY, NULL };
		}
	}
	(void)find_shift(info->call->u.call.args[0], &shift);
	*out = (struct selector){ .matchers = matchers, .matcher_count = count, .shift = shift };
	return 0;
}

static int read_info_series(struct info *info) {
	struct selector *selector = EVAL_NEW(info->ev, struct selector, 1);
	struct stream *stream;
	struct column column;
	int rc = selector ? build_selector(info, selector) : ERR_LIMIT;

	rc = rc < 0 ? rc : select_open(info->ev, selector, 0, info->grid, SELECT_TIMES, &stream);
	if (rc < 0) {
		return rc;
	}
	while ((rc = stream->next(stream, &column)) > 0) {
		if (column.histograms) {
			return err_set(info->ev->err, ERR_EXEC, "info sample should be float");
		}
		rc = add_info_series(info, stream, &column);
		if (rc < 0) {
			return rc;
		}
	}
	return rc;
}

/* Choosing. */

static int64_t sample_ms(double seconds) {
	return (int64_t)llround(seconds * 1000);
}

static int fail_duplicate(
	const struct info *info, const struct column *a, const struct column *b, size_t step) {
	AUTO(buf_deinit) struct buf existing = { 0 };
	AUTO(buf_deinit) struct buf found = { 0 };

	labels_format_braces(&a->labels, &existing);
	labels_format_braces(&b->labels, &found);
	return err_set(info->ev->err, ERR_EXEC,
		"found duplicate series for info metric: existing %s @ %lld, new %s @ %lld",
		buf_text(&existing), (long long)sample_ms(a->values[step]), buf_text(&found),
		(long long)sample_ms(b->values[step]));
}

/* Which of the slot's series counts at a step, or NONE. */
static int choose(const struct info *info, const struct slot *slot, size_t step, uint32_t *out) {
	uint32_t best = NONE;

	for (size_t i = 0; i < slot->series.count; i++) {
		const struct column *column = &slot->series.items[i];
		const struct column *other = best == NONE ? NULL : &slot->series.items[best];

		if (!present_get(column->present, step)) {
			continue;
		}
		if (other && other->values[step] == column->values[step]) {
			return fail_duplicate(info, other, column, step);
		}
		if (!other || other->values[step] < column->values[step]) {
			best = (uint32_t)i;
		}
	}
	*out = best;
	return 0;
}

/* Refuses two info series of one sample's time, wherever there is anything to enrich. */
static int check_slots(const struct info *info) {
	size_t steps = info->grid->count;
	uint64_t *wanted = EVAL_NEW(info->ev, uint64_t, step_words(steps));
	uint32_t ignored;

	if (!wanted) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < info->base.count; i++) {
		for (size_t k = 0; k < step_words(steps); k++) {
			wanted[k] |= info->base.items[i].present[k];
		}
	}
	for (size_t i = 0; i < info->identities.count; i++) {
		for (const struct slot *slot = info->slots[i]; slot; slot = slot->next) {
			int rc = eval_work(info->ev, steps * slot->series.count);

			for (size_t k = 0; rc == 0 && slot->series.count > 1 && k < steps; k++) {
				rc = present_get(wanted, k) ? choose(info, slot, k, &ignored) : 0;
			}
			if (rc < 0) {
				return rc;
			}
		}
	}
	return 0;
}

/* Enriching. */

static bool takes_label(const struct info *info, struct str name) {
	for (size_t i = 0; i < info->data_count; i++) {
		if (str_equal(info->data[i].name, name)) {
			return true;
		}
	}
	return info->data_count == 0;
}

/* Adds what one info series says to 'pairs', the first 'own' of which are the series' own. */
static int add_labels(const struct info *info, const struct labels *from, struct label *pairs,
	size_t own, size_t *count) {
	for (size_t i = 0; i < from->count; i++) {
		const struct label *label = &from->pairs[i];
		size_t at = 0;

		if (str_equal(label->name, LABEL_NAME) || !takes_label(info, label->name)) {
			continue;
		}
		while (at < *count && !str_equal(pairs[at].name, label->name)) {
			at++;
		}
		if (at == *count) {
			if (at == LABELS_COUNT_MAX) {
				return err_set(info->ev->err, ERR_LIMIT,
					"info() makes a series of more than %d labels",
					LABELS_COUNT_MAX);
			}
			pairs[(*count)++] = *label;
		} else if (at >= own && !str_equal(pairs[at].value, label->value)) {
			return err_set(info->ev->err, ERR_EXEC, "conflicting label: %.*s",
				STR_ARG(label->name));
		}
	}
	return 0;
}

/* Whether a series without any info series may stay. */
static bool stays_bare(const struct info *info) {
	for (size_t i = 0; i < info->data_count; i++) {
		if (!matcher_matches_empty(&info->data[i])) {
			return false;
		}
	}
	return true;
}

static int build_labels(const struct info *info, const struct slot *slot, const uint32_t *choice,
	struct enriched *out) {
	struct label pairs[LABELS_COUNT_MAX];
	const struct labels *own = &out->column.labels;
	size_t count = own->count;
	bool is_bare = true;
	size_t at = 0;

	if (own->count > 0) {
		memcpy(pairs, own->pairs, own->count * sizeof(*pairs));
	}
	for (; slot; slot = slot->next) {
		uint32_t chosen = choice[at++];
		int rc;

		if (chosen == NONE) {
			continue;
		}
		is_bare = false;
		rc = add_labels(
			info, &slot->series.items[chosen].labels, pairs, own->count, &count);
		if (rc < 0) {
			return rc;
		}
	}
	out->is_dropped = is_bare && !stays_bare(info);
	return labels_build(&info->ev->arena, pairs, count, &out->column.labels, info->ev->err);
}

/* What becomes of 'base' with this choice, made if it is new. */
static int find_enriched(struct info *info, const struct column *base, const struct slot *slots,
	const uint32_t *choice, size_t slot_count, struct enriched **out) {
	struct eval *ev = info->ev;
	struct enriched *made;
	uint32_t *copy;
	int rc;

	for (struct enriched *it = info->pending; it; it = it->next) {
		if (memcmp(it->choice, choice, slot_count * sizeof(*choice)) == 0) {
			*out = it;
			return 0;
		}
	}
	made = EVAL_NEW(ev, struct enriched, 1);
	copy = EVAL_NEW(ev, uint32_t, slot_count);
	rc = !made || !copy     ? ERR_LIMIT
	     : base->histograms ? eval_histograms_build(ev, info->grid->count, &made->column)
				: eval_column_build(ev, info->grid->count, &made->column);
	if (rc < 0) {
		return rc;
	}
	memcpy(copy, choice, slot_count * sizeof(*choice));
	made->choice = copy;
	made->column.labels = base->labels;
	made->column.drops_name = base->drops_name;
	made->next = info->pending;
	info->pending = made;
	*out = made;
	return build_labels(info, slots, choice, made);
}

static int enrich(struct info *info, const struct column *base) {
	size_t identity;
	const struct slot *slots = groups_find(&info->identities, &base->labels, &identity)
					   ? info->slots[identity]
					   : NULL;
	size_t slot_count = 0;
	uint32_t *choice;
	int rc;

	for (const struct slot *slot = slots; slot; slot = slot->next) {
		slot_count++;
	}
	choice = EVAL_NEW(info->ev, uint32_t, slot_count + 1);
	rc = choice ? eval_work(info->ev, info->grid->count * (slot_count + 1)) : ERR_LIMIT;
	if (rc < 0) {
		return rc;
	}
	for (PRESENT_EACH(base->present, info->grid->count, i)) {
		const struct slot *slot = slots;
		struct enriched *to;

		for (size_t k = 0; k < slot_count; k++) {
			rc = choose(info, slot, i, &choice[k]);
			if (rc < 0) {
				return rc;
			}
			slot = slot->next;
		}
		rc = find_enriched(info, base, slots, choice, slot_count, &to);
		if (rc < 0) {
			return rc;
		}
		to->column.values[i] = base->values[i];
		if (base->histograms) {
			to->column.histograms[i] = base->histograms[i];
		}
		present_set(to->column.present, i);
	}
	return 0;
}

static int read_all(struct info *info) {
	struct eval *ev = info->ev;
	int rc = columns_collect(ev, info->input, info->grid->count, &info->base);

	for (size_t i = 0; rc == 0 && i < info->base.count; i++) {
		const struct labels *labels = &info->base.items[i].labels;

		for (size_t k = 0; rc == 0 && k < ID_COUNT; k++) {
			size_t value;

			if (labels_get(labels, id_names[k]).len > 0 &&
				!is_info_series(info, labels)) {
				rc = groups_add(&info->values[k], labels, &value);
			}
		}
	}
	if (rc == 0 && (info->values[0].count > 0 || info->values[1].count > 0)) {
		rc = read_info_series(info);
	}
	return rc < 0 ? rc : check_slots(info);
}

static int info_next(struct stream *stream, struct column *out) {
	struct info *info = CONTAINER_OF(stream, struct info, stream);
	int rc = info->is_done ? 0 : read_all(info);

	info->is_done = true;
	while (rc == 0) {
		struct enriched *made = info->pending;
		const struct column *base;

		if (made) {
			info->pending = made->next;
			if (!made->is_dropped) {
				*out = made->column;
				rc = guard_add(&info->guard, out);
				return rc < 0 ? rc : 1;
			}
			continue;
		}
		if (info->next_base == info->base.count) {
			return 0;
		}
		base = &info->base.items[info->next_base++];
		if (is_info_series(info, &base->labels)) {
			*out = *base;
			rc = guard_add(&info->guard, out);
			return rc < 0 ? rc : 1;
		}
		rc = enrich(info, base);
	}
	return rc;
}

int call_open_info(
	struct eval *ev, struct expr *call, const struct grid *grid, struct stream **out) {
	struct info *info = EVAL_NEW(ev, struct info, 1);
	int rc;

	if (!info) {
		return ERR_LIMIT;
	}
	if (call->u.call.count > 1 && call->u.call.args[1]->kind != EXPR_SELECTOR) {
		return err_set(ev->err, ERR_ABSENT,
			"info() over series that are not in this store is not built yet");
	}
	info->stream = (struct stream){ .next = info_next, .keeps = true, .repeats = true };
	info->ev = ev;
	info->call = call;
	info->grid = grid;
	rc = split_matchers(info);
	rc = rc < 0 ? rc : guard_init(&info->guard, ev, grid->count, false);
	rc = rc < 0 ? rc : groups_init(&info->identities, ev, id_names, ID_COUNT, false);
	for (size_t i = 0; rc == 0 && i < ID_COUNT; i++) {
		rc = groups_init(&info->values[i], ev, &id_names[i], 1, false);
	}
	rc = rc < 0 ? rc : eval_stream(ev, call->u.call.args[0], grid, &info->input);
	if (rc < 0) {
		return rc;
	}
	*out = &info->stream;
	return 0;
}
