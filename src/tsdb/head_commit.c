/*
 * How samples get in.
 *
 * An appender only collects. Its commit packs the records for the log, then queues. Whoever finds
 * no committer becomes it, for all that wait: it cuts the chunks that are full (one write), writes
 * the log (one write), publishes under the samples lock. No lock is held while writing. When the
 * log cannot be written nothing is published; when a chunk cannot be cut it goes on growing until
 * the disk has room. A transaction with more samples of one series than a chunk holds has its
 * chunks cut while it is published.
 */
#include "tsdb/head.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "tsdb/record.h"

#include <stdlib.h>

/* More samples in one transaction are refused: its log record has to fit a segment. */
#define PENDING_MAX ((size_t)4 << 20)
/* Chunks staged before they are written. */
#define CUTTING_MAX 1024
/* Of a sample in a log record: two short numbers and the value. */
#define SAMPLE_BYTES_USUAL ((size_t)12)
/* How far ahead the series of the next samples are fetched from memory. */
#define PREFETCH 6

struct tsdb_appender {
	struct appender base;
	struct tsdb *db;
	struct epoch_reader reader; /* What it points at stays, even if it is removed meanwhile. */
	struct pending *items;
	size_t count;
	size_t capacity;
	int64_t min_valid_ms;
};

enum commit_state {
	COMMIT_WAITING,
	COMMIT_DONE,
	COMMIT_STALE
};

/* On the stack of whoever commits. */
struct commit {
	struct commit *next;
	const struct pending *items;
	size_t count;
	struct wal_record records[2];
	size_t record_count;
	enum commit_state state; /* Guarded by the commit lock. */
	bool is_stale;           /* The committer's, as all else from here. */
	int rc;
	struct err err;
};

static const struct appender_ops ops;

struct appender *head_appender_begin(struct appendable *appendable) {
	struct tsdb *db = CONTAINER_OF(appendable, struct tsdb, appendable);
	struct tsdb_appender *appender = MEMORY_NEW(struct tsdb_appender, 1);
	int64_t max_ms = atomic_load_explicit(&db->max_ms, memory_order_relaxed);

	appender->base.ops = &ops;
	appender->db = db;
	appender->min_valid_ms = !db->options.any_age && max_ms >= INT64_MIN + APPEND_WINDOW_MS
					 ? max_ms - APPEND_WINDOW_MS
					 : INT64_MIN;
	epochs_enter(&db->epochs, &appender->reader);
	return &appender->base;
}

static void appender_free(struct tsdb_appender *appender) {
	epochs_leave(&appender->db->epochs, &appender->reader);
	free(appender->items);
	free(appender);
}

static void count_up(_Atomic uint64_t *counter) {
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Whether the reference means a series that is still there. */
static bool ref_is_known(struct tsdb *db, struct series_ref ref) {
	uint32_t slot = (uint32_t)ref.v;
	uint32_t generation = (uint32_t)(ref.v >> 32);
	struct series_page *page;

	if (slot / SERIES_PAGE >= SERIES_PAGES_MAX) {
		return false;
	}
	page = __atomic_load_n(&db->pages[slot / SERIES_PAGE], __ATOMIC_ACQUIRE);
	return page && __atomic_load_n(&page->items[slot % SERIES_PAGE].generation,
			       __ATOMIC_RELAXED) == generation;
}

static int series_ref_make(
	struct tsdb *db, const struct labels *set, struct series_ref *ref, struct err *err) {
	uint32_t slot = 0;
	int rc = series_make(db, set, &slot, err);

	if (rc < 0) {
		return rc;
	}
	ref->v = (uint64_t)__atomic_load_n(&series_at(db, slot)->generation, __ATOMIC_RELAXED)
			 << 32 |
		 slot;
	return 0;
}

/* Compares with what is published; what is decided at last is head_publish's. */
static enum append_outcome outcome_of(const struct tsdb_appender *appender, uint32_t slot,
	int64_t time_ms, uint64_t value_bits, bool *is_there) {
	struct tsdb *db = appender->db;
	struct series *series = series_at(db, slot);
	/* Relaxed: either is only a first look. */
	int64_t last_ms = __atomic_load_n(&series->last_ms, __ATOMIC_RELAXED);

	*is_there = false;
	if (time_ms < appender->min_valid_ms) {
		count_up(&db->too_old);
		return APPEND_TOO_OLD;
	}
	if (time_ms > last_ms) {
		return APPEND_OK;
	}
	if (time_ms < last_ms) {
		count_up(&db->out_of_order);
		return APPEND_OUT_OF_ORDER;
	}
	*is_there = __atomic_load_n(&series->last_bits, __ATOMIC_RELAXED) == value_bits;
	if (!*is_there) {
		count_up(&db->duplicates);
	}
	return *is_there ? APPEND_OK : APPEND_DUPLICATE;
}

static int append(struct appender *base, struct series_ref *ref, const struct labels *set,
	int64_t time_ms, double value, struct err *err) {
	struct tsdb_appender *appender = CONTAINER_OF(base, struct tsdb_appender, base);
	uint64_t value_bits = double_bits(value);
	enum append_outcome outcome;
	bool is_there;

	if (ref->v == 0) {
		int rc = series_ref_make(appender->db, set, ref, err);
		if (rc < 0) {
			return rc;
		}
	} else if (!ref_is_known(appender->db, *ref)) {
		return APPEND_UNKNOWN_REF;
	}
	outcome = outcome_of(appender, (uint32_t)ref->v, time_ms, value_bits, &is_there);
	if (outcome != APPEND_OK || is_there) {
		return (int)outcome;
	}
	if (appender->count == PENDING_MAX) {
		return err_set(
			err, ERR_LIMIT, "more than %zu samples in one transaction", PENDING_MAX);
	}
	if (appender->count == appender->capacity) {
		appender->capacity = appender->capacity > 0 ? appender->capacity * 2 : 256;
		appender->items =
			memory_resize(appender->items, appender->capacity, sizeof(struct pending));
	}
	appender->items[appender->count++] = (struct pending){ .slot = (uint32_t)ref->v,
		.generation = (uint32_t)(ref->v >> 32),
		.time_ms = time_ms,
		.value_bits = value_bits };
	return APPEND_OK;
}

static void rollback(struct appender *base) {
	appender_free(CONTAINER_OF(base, struct tsdb_appender, base));
}

static bool generation_matches(struct tsdb *db, const struct pending *item) {
	return __atomic_load_n(&series_at(db, item->slot)->generation, __ATOMIC_RELAXED) ==
	       item->generation;
}

/* Gives samples of series that maintenance removed since they were appended a series again. */
static int stale_revive(struct tsdb_appender *appender, struct err *err) {
	struct tsdb *db = appender->db;

	for (size_t i = 0; i < appender->count; i++) {
		struct label pairs[LABELS_COUNT_MAX];
		struct labels set = { .pairs = pairs };
		struct series_ref ref = { 0 };
		struct series *old = series_at(db, appender->items[i].slot);
		int rc;
		if (generation_matches(db, &appender->items[i])) {
			continue;
		}
		set.count = series_pair_count(old);
		series_labels(db, old, pairs);
		rc = series_ref_make(db, &set, &ref, err);
		if (rc < 0) {
			return rc;
		}
		appender->items[i].slot = (uint32_t)ref.v;
		appender->items[i].generation = (uint32_t)(ref.v >> 32);
	}
	return 0;
}

/* The slots, none twice in a row, whose series record is not in the log yet. Returns how many. */
static size_t unlogged_find(
	struct tsdb *db, const struct pending *items, size_t count, uint32_t **slots) {
	size_t found = 0;

	*slots = NULL;
	lock_take(&db->samples_lock);
	for (size_t i = 0; i < count; i++) {
		if ((series_at(db, items[i].slot)->flags & SERIES_LOGGED) != 0) {
			continue;
		}
		if (!*slots) {
			*slots = MEMORY_NEW(uint32_t, count - i);
		}
		if (found == 0 || (*slots)[found - 1] != items[i].slot) {
			(*slots)[found++] = items[i].slot;
		}
	}
	lock_drop(&db->samples_lock);
	return found;
}

static void series_encode(struct tsdb *db, const uint32_t *slots, size_t count, struct buf *out) {
	record_series_begin(out);
	for (size_t i = 0; i < count; i++) {
		const struct series *series = series_at(db, slots[i]);
		record_series_add(out, series->ref, series_pair_count(series));
		for (size_t k = 0; k < series_pair_count(series); k++) {
			record_label_add(out, index_pair_name(&db->index, series->pairs[k]),
				index_pair_value(&db->index, series->pairs[k]));
		}
	}
}

static void samples_encode(
	struct tsdb *db, const struct pending *items, size_t count, struct buf *out) {
	struct record_samples record;

	(void)buf_reserve(out, count * SAMPLE_BYTES_USUAL + 64);
	record_samples_begin(&record, out);
	for (size_t i = 0; i < count; i++) {
		record_samples_add(&record, series_at(db, items[i].slot)->ref, items[i].time_ms,
			items[i].value_bits);
	}
}

struct encoded {
	struct buf series;
	struct buf series_packed;
	struct buf samples;
	struct buf samples_packed;
};

static void encoded_deinit(struct encoded *encoded) {
	buf_deinit(&encoded->series);
	buf_deinit(&encoded->series_packed);
	buf_deinit(&encoded->samples);
	buf_deinit(&encoded->samples_packed);
}

static void commit_encode(
	const struct tsdb_appender *appender, struct encoded *encoded, struct commit *commit) {
	struct tsdb *db = appender->db;
	bool pack = !db->options.no_wal_compression;
	uint32_t *slots = NULL;
	size_t count = unlogged_find(db, appender->items, appender->count, &slots);

	*commit = (struct commit){ .items = appender->items, .count = appender->count };
	if (count > 0) {
		series_encode(db, slots, count, &encoded->series);
		commit->records[commit->record_count++] =
			wal_record_pack(buf_str(&encoded->series), pack, &encoded->series_packed);
	}
	free(slots);
	samples_encode(db, appender->items, appender->count, &encoded->samples);
	commit->records[commit->record_count++] =
		wal_record_pack(buf_str(&encoded->samples), pack, &encoded->samples_packed);
}

/* One commit that is too large must not fail those it is written with. */
static int records_check(const struct tsdb *db, const struct commit *commit, struct err *err) {
	for (size_t i = 0; i < commit->record_count; i++) {
		int rc = wal_record_check(&commit->records[i], db->options.wal_segment_size, err);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* An open chunk as the packing wants it. */
static void tail_load(const struct series *series, struct xor_tail *tail) {
	*tail = (struct xor_tail){ .time_ms = series->last_ms,
		.value_bits = series->last_bits,
		.delta = series->delta,
		.len = series->chunk_len,
		.count = series->count,
		.spare_bits = (uint8_t)series->spare_bits,
		.leading = series->leading == LEADING_NONE ? 0xff : (uint8_t)series->leading,
		.trailing = (uint8_t)series->trailing };
	if (series->delta == DELTA_UNKNOWN && series->count > 1) {
		int rc = xor_resume(series->chunk, series->chunk_len, tail, NULL);
		CHECK(rc == 0);
	}
}

static void tail_store(struct series *series, const struct xor_tail *tail) {
	/* Relaxed: appenders take a first look; the samples lock orders everything that counts. */
	__atomic_store_n(&series->last_ms, tail->time_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&series->last_bits, tail->value_bits, __ATOMIC_RELAXED);
	series->delta = tail->delta < DELTA_UNKNOWN ? (uint32_t)tail->delta : DELTA_UNKNOWN;
	series->chunk_len = (uint16_t)tail->len;
	series->count = tail->count;
	series->spare_bits = (unsigned)tail->spare_bits & 7U;
	series->leading = (tail->leading == 0xff ? LEADING_NONE : (unsigned)tail->leading) & 63U;
	series->trailing = (unsigned)tail->trailing & 63U;
}

static void sample_add(
	struct tsdb *db, struct series *series, int64_t time_ms, uint64_t value_bits) {
	uint8_t out[XOR_APPEND_BYTES_MAX];
	struct xor_tail tail;
	size_t old_room = chunk_room(series->chunk_len);
	size_t at = 0;
	size_t len;

	tail_load(series, &tail);
	len = xor_append(&tail, tail.len > 0 ? series->chunk[tail.len - 1] : 0, time_ms, value_bits,
		out, &at);
	if (at + len > old_room) {
		uint8_t *bigger = cells_alloc(&db->chunk_cells, chunk_room(at + len));
		if (series->chunk) {
			memcpy(bigger, series->chunk, series->chunk_len);
		}
		cells_free(&db->chunk_cells, series->chunk, old_room);
		series->chunk = bigger;
	}
	memcpy(series->chunk + at, out, len);
	xor_count_write(series->chunk, tail.count);
	if (tail.count == 1) {
		atomic_fetch_add_explicit(&db->open_chunks, 1, memory_order_relaxed);
	}
	tail_store(series, &tail);
}

/* A sample that was overtaken between its append and its commit, as it is told in the metrics. */
static void late_count(struct tsdb *db, const struct series *series, const struct pending *item) {
	if (item->time_ms < series->last_ms) {
		count_up(&db->out_of_order);
	} else if (item->value_bits != series->last_bits) {
		count_up(&db->duplicates);
	}
}

static int64_t chunk_range_of(int64_t time_ms) {
	return time_ms / CHUNK_RANGE_MS - (time_ms % CHUNK_RANGE_MS < 0);
}

/* After how many samples a series' open chunk is full. */
static size_t chunk_target(const struct tsdb *db, uint32_t slot, const struct series *series) {
	size_t target = db->options.samples_per_chunk;

	if ((series->flags & SERIES_SHORT) == 0) {
		return target;
	}
	return target / 8 + 1 + (size_t)(hash_mix(slot, 0x5eed) % (target - target / 8));
}

static bool cut_is_due(
	const struct tsdb *db, uint32_t slot, const struct series *series, int64_t time_ms) {
	if (series->count == 0 || series->is_cutting) {
		return false;
	}
	return series->count >= chunk_target(db, slot, series) ||
	       series->chunk_len >= CHUNK_BYTES_FULL ||
	       chunk_range_of(time_ms) != chunk_range_of(series->last_ms);
}

/* Takes the staged chunks out of memory: they are in the files now. */
static void cut_publish(struct tsdb *db, uint32_t first_number) {
	lock_take(&db->samples_lock);
	for (size_t i = 0; i < db->cutting_count; i++) {
		struct series *series = series_at(db, db->cutting[i]);
		/* All series end their chunks where the ranges meet; they must not all end the next
		 * ones at the same moment, too. */
		if (series->count < chunk_target(db, db->cutting[i], series) &&
			series->chunk_len < CHUNK_BYTES_FULL) {
			series->flags |= SERIES_SHORT;
		} else {
			series->flags &= (uint8_t)~SERIES_SHORT;
		}
		cells_free(&db->chunk_cells, series->chunk, chunk_room(series->chunk_len));
		series->chunk = NULL;
		series->chunk_len = 0;
		series->count = 0;
		series->spare_bits = 0;
		series->leading = LEADING_NONE;
		series->trailing = 0;
		series->newest = first_number + (uint32_t)i;
		series->is_cutting = false;
	}
	lock_drop(&db->samples_lock);
	atomic_fetch_sub_explicit(&db->open_chunks, db->cutting_count, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->full_chunks, db->cutting_count, memory_order_relaxed);
	db->cutting_count = 0;
}

static void cut_abandon(struct tsdb *db) {
	for (size_t i = 0; i < db->cutting_count; i++) {
		series_at(db, db->cutting[i])->is_cutting = false;
	}
	db->cutting_count = 0;
	chunk_files_discard(&db->files);
}

/* Writes what is staged and publishes it. */
static int cut_flush(struct tsdb *db, struct err *err) {
	uint32_t first = db->list.end;
	int rc;

	if (db->cutting_count == 0) {
		return 0;
	}
	rc = chunk_list_add(&db->list, db->cutting_entries, db->cutting_count, err);
	if (rc >= 0) {
		rc = chunk_files_write(&db->files, err);
		if (rc < 0) {
			db->list.end = first;
		}
	}
	if (rc < 0) {
		cut_abandon(db);
		return rc;
	}
	cut_publish(db, first);
	return 0;
}

static int cut_stage(struct tsdb *db, uint32_t slot, struct err *err) {
	struct series *series = series_at(db, slot);
	struct chunk_record record = { .series = series->ref,
		.max_ms = series->last_ms,
		.encoding = CHUNK_ENCODING_XOR,
		.data = series->chunk,
		.len = series->chunk_len };
	uint64_t ref = 0;
	int rc = xor_first_time(record.data, record.len, &record.min_ms, NULL);

	CHECK(rc == 0);
	if (db->cutting_count == CUTTING_MAX) {
		rc = cut_flush(db, err);
	}
	rc = rc < 0 ? rc : chunk_files_stage(&db->files, &record, &ref, err);
	if (rc == 1) {
		rc = cut_flush(db, err);
		rc = rc < 0 ? rc : chunk_files_stage(&db->files, &record, &ref, err);
	}
	if (rc < 0) {
		cut_abandon(db);
		return rc;
	}
	series->is_cutting = true;
	db->cutting[db->cutting_count] = slot;
	db->cutting_entries[db->cutting_count++] = (struct chunk_entry){ .ref = ref,
		.min_ms = record.min_ms,
		.max_ms = record.max_ms,
		.older = series->newest,
		.count = series->count };
	return 0;
}

void head_cut(struct tsdb *db, const struct pending *items, size_t count) {
	struct err err = { 0 };
	int rc = 0;

	if (!db->cutting) {
		db->cutting = MEMORY_NEW(uint32_t, CUTTING_MAX);
		db->cutting_entries = MEMORY_NEW(struct chunk_entry, CUTTING_MAX);
	}
	for (size_t i = 0; i < count && rc >= 0; i++) {
		if (i + PREFETCH < count) {
			__builtin_prefetch(series_at(db, items[i + PREFETCH].slot));
		}
		if (cut_is_due(db, items[i].slot, series_at(db, items[i].slot), items[i].time_ms)) {
			rc = cut_stage(db, items[i].slot, &err);
		}
	}
	rc = rc < 0 ? rc : cut_flush(db, &err);
	if (rc < 0 && !db->is_cut_failing) {
		log_warn("full chunks cannot be moved to disk and stay in memory", KV_ERR(&err));
	}
	db->is_cut_failing = rc < 0;
}

/* What one transaction adds, and how far. */
struct publishing {
	const struct pending *items;
	size_t count;
	size_t at;
	uint64_t added;
	int64_t min_ms;
	int64_t max_ms;
};

/* Adds samples up to one before which its series' chunk has to be cut. Returns whether there is
 * one. */
static bool publish_some(struct tsdb *db, struct publishing *publishing) {
	const struct pending *items = publishing->items;

	for (; publishing->at < publishing->count; publishing->at++) {
		const struct pending *item = &items[publishing->at];
		struct series *series = series_at(db, item->slot);
		if (publishing->at + PREFETCH < publishing->count) {
			const struct series *soon =
				series_at(db, items[publishing->at + PREFETCH].slot);
			if (soon->chunk) {
				__builtin_prefetch(soon->chunk + soon->chunk_len);
			}
		}
		series->flags |= SERIES_LOGGED;
		if (item->time_ms <= series->last_ms) {
			late_count(db, series, item);
			continue;
		}
		if (!db->is_cut_failing && cut_is_due(db, item->slot, series, item->time_ms)) {
			return true;
		}
		if (series->chunk_len > CHUNK_BYTES_MAX || series->count == XOR_COUNT_MAX) {
			count_up(&db->out_of_order);
			continue;
		}
		sample_add(db, series, item->time_ms, item->value_bits);
		publishing->max_ms =
			item->time_ms > publishing->max_ms ? item->time_ms : publishing->max_ms;
		publishing->min_ms =
			item->time_ms < publishing->min_ms ? item->time_ms : publishing->min_ms;
		publishing->added++;
	}
	return false;
}

void head_publish(struct tsdb *db, const struct pending *items, size_t count) {
	struct publishing publishing = {
		.items = items,
		.count = count,
		.max_ms = atomic_load_explicit(&db->max_ms, memory_order_relaxed),
		.min_ms = atomic_load_explicit(&db->min_ms, memory_order_relaxed),
	};
	bool is_cut_due;

	do {
		lock_take(&db->samples_lock);
		is_cut_due = publish_some(db, &publishing);
		lock_drop(&db->samples_lock);
		if (is_cut_due) {
			head_cut(db, &items[publishing.at], 1);
		}
	} while (is_cut_due);
	atomic_store_explicit(&db->max_ms, publishing.max_ms, memory_order_relaxed);
	atomic_store_explicit(&db->min_ms, publishing.min_ms, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->samples, publishing.added, memory_order_relaxed);
}

/* Finds commits whose series maintenance removed: they make their series anew and come again. */
static void stale_mark(struct tsdb *db, struct commit *group) {
	for (struct commit *commit = group; commit; commit = commit->next) {
		for (size_t i = 0; i < commit->count; i++) {
			if (!generation_matches(db, &commit->items[i])) {
				commit->is_stale = true;
				break;
			}
		}
	}
}

/* Writes the records of all. */
static int group_write(struct tsdb *db, struct commit *group, struct err *err) {
	struct wal_record *records;
	size_t count = 0;
	uint64_t bytes = 0;
	int rc;

	for (struct commit *commit = group; commit; commit = commit->next) {
		count += commit->record_count;
	}
	records = MEMORY_NEW(struct wal_record, count);
	count = 0;
	for (struct commit *commit = group; commit; commit = commit->next) {
		for (size_t i = 0; i < commit->record_count && !commit->is_stale; i++) {
			records[count++] = commit->records[i];
			bytes += commit->records[i].bytes.len;
		}
	}
	rc = wal_write(&db->wal, records, count, err);
	free(records);
	if (rc < 0) {
		count_up(&db->wal_failures);
	} else {
		atomic_fetch_add_explicit(&db->wal_bytes, bytes, memory_order_relaxed);
		atomic_store_explicit(&db->wal_segment, db->wal.number, memory_order_relaxed);
	}
	return rc;
}

static void group_commit(struct tsdb *db, struct commit *group) {
	struct err err = { 0 };
	int rc;

	stale_mark(db, group);
	for (struct commit *commit = group; commit; commit = commit->next) {
		if (!commit->is_stale) {
			head_cut(db, commit->items, commit->count);
		}
	}
	rc = group_write(db, group, &err);
	for (struct commit *commit = group; commit; commit = commit->next) {
		if (commit->is_stale) {
			continue;
		}
		if (rc >= 0) {
			head_publish(db, commit->items, commit->count);
		}
		commit->rc = rc;
		commit->err = err;
	}
}

void committer_take(struct tsdb *db) {
	lock_take(&db->commit_lock);
	while (db->is_committing) {
		condition_wait(&db->commit_done, &db->commit_lock);
	}
	db->is_committing = true;
	lock_drop(&db->commit_lock);
}

void committer_drop(struct tsdb *db) {
	lock_take(&db->commit_lock);
	db->is_committing = false;
	condition_broadcast(&db->commit_done);
	lock_drop(&db->commit_lock);
}

/* Becomes the committer for all that wait, or waits until somebody was. */
static void commit_run(struct tsdb *db, struct commit *commit) {
	struct commit *group = NULL;

	lock_take(&db->commit_lock);
	if (db->commit_last) {
		db->commit_last->next = commit;
	} else {
		db->commit_first = commit;
	}
	db->commit_last = commit;
	while (db->is_committing && commit->state == COMMIT_WAITING) {
		condition_wait(&db->commit_done, &db->commit_lock);
	}
	if (commit->state == COMMIT_WAITING) {
		group = db->commit_first;
		db->commit_first = NULL;
		db->commit_last = NULL;
		db->is_committing = true;
	}
	lock_drop(&db->commit_lock);
	if (!group) {
		return;
	}
	group_commit(db, group);
	lock_take(&db->commit_lock);
	while (group) {
		struct commit *next = group->next; /* Its owner may be gone once it is done. */
		group->state = group->is_stale ? COMMIT_STALE : COMMIT_DONE;
		group = next;
	}
	db->is_committing = false;
	condition_broadcast(&db->commit_done);
	lock_drop(&db->commit_lock);
}

static int commit_all(struct tsdb_appender *appender, struct err *err) {
	struct commit commit;

	do {
		struct encoded encoded = { 0 };
		int rc = stale_revive(appender, err);
		if (rc < 0) {
			return rc;
		}
		commit_encode(appender, &encoded, &commit);
		rc = records_check(appender->db, &commit, err);
		if (rc < 0) {
			encoded_deinit(&encoded);
			return rc;
		}
		commit_run(appender->db, &commit);
		encoded_deinit(&encoded);
	} while (commit.state == COMMIT_STALE);
	if (commit.rc < 0 && err) {
		*err = commit.err;
	}
	return commit.rc;
}

static int commit_appender(struct appender *base, struct err *err) {
	struct tsdb_appender *appender = CONTAINER_OF(base, struct tsdb_appender, base);
	int rc = 0;

	if (appender->count > 0 && appender->db->options.read_only) {
		rc = err_set(err, ERR_INVAL, "%s is open for reading only", appender->db->path);
	} else if (appender->count > 0) {
		rc = commit_all(appender, err);
	}
	appender_free(appender);
	return rc;
}

static const struct appender_ops ops = {
	.append = append,
	.commit = commit_appender,
	.rollback = rollback,
};
