/*
 * What a start reads: chunk files, the newest checkpoint, the log behind it.
 *
 * The chunk files come first: each chunk is added to a list under the reference of its series,
 * whose labels are not known yet. The log tells the labels; then the list goes to the series, and
 * samples that are in its full chunks already are passed over. Records are read one at a time from
 * mapped segments, so that memory is bounded by the largest record. A reference may mean nothing
 * (its series is gone), and two may mean the same series (it was gone for a while).
 */
#include "tsdb/head.h"

#include "base/log.h"
#include "base/memory.h"
#include "tsdb/record.h"

#include <inttypes.h>
#include <stdlib.h>

#define REF_PAGE 256
#define BATCH 8192

/* What a reference of the log is known to mean. */
struct ref_state {
	uint32_t slot_plus_one;
	uint32_t newest; /* Full chunk; 0: none. */
	int64_t max_ms;  /* Of the full chunks, if there are any. */
};

struct ref_page {
	uint64_t number;
	struct ref_state items[REF_PAGE];
};

struct replay {
	struct tsdb *db;
	struct map pages;            /* By number, to the page. */
	struct ref_page *last;       /* The page found last: references come in runs. */
	struct chunk_entry *entries; /* Found in chunk files, not yet in the list. */
	size_t entry_count;
	struct pending *items; /* Samples not yet published. */
	size_t item_count;
	struct tombstone *tombstones;
	size_t tombstone_count;
	size_t tombstone_capacity;
	int64_t cutoff_ms;
	uint64_t max_ref;
	uint64_t samples;
	uint64_t unknown_refs;
	uint64_t odd_chunks; /* Of other encodings, out of order, or overlapping. */
	uint64_t odd_records[256];
};

static bool page_equal(uint64_t value, const void *key) {
	const struct ref_page *page = (const struct ref_page *)(uintptr_t)value;

	return page->number == *(const uint64_t *)key;
}

static struct ref_state *ref_find(struct replay *replay, uint64_t ref, bool make) {
	uint64_t number = ref / REF_PAGE;
	uint64_t value = 0;

	if (replay->last && replay->last->number == number) {
		return &replay->last->items[ref % REF_PAGE];
	}
	if (!map_find(&replay->pages, number, page_equal, &number, &value)) {
		struct ref_page *page;
		if (!make) {
			return NULL;
		}
		page = MEMORY_NEW(struct ref_page, 1);
		page->number = number;
		value = (uintptr_t)page;
		map_add(&replay->pages, number, value);
	}
	replay->last = (struct ref_page *)(uintptr_t)value;
	return &replay->last->items[ref % REF_PAGE];
}

static void replay_deinit(struct replay *replay) {
	size_t cursor = 0;
	uint64_t value = 0;

	while (map_next(&replay->pages, &cursor, &value)) {
		free((void *)(uintptr_t)value);
	}
	map_deinit(&replay->pages);
	free(replay->entries);
	free(replay->items);
	free(replay->tombstones);
}

/* References count up from 1; one that cannot be is passed over like an unknown one. */
static bool ref_is_sane(uint64_t ref) {
	return ref != 0 && ref >> 60 == 0;
}

static int entries_flush(struct replay *replay, struct err *err) {
	int rc = chunk_list_add(&replay->db->list, replay->entries, replay->entry_count, err);

	if (rc >= 0) {
		atomic_fetch_add_explicit(
			&replay->db->full_chunks, replay->entry_count, memory_order_relaxed);
		replay->entry_count = 0;
	}
	return rc;
}

static int chunk_scanned(
	void *context, uint64_t ref, const struct chunk_record *record, struct err *err) {
	struct replay *replay = context;
	struct ref_state *state;
	size_t count = xor_count(record->data, record->len);

	if (!ref_is_sane(record->series)) {
		replay->odd_chunks++;
		return 0;
	}
	if (record->series > replay->max_ref) {
		replay->max_ref = record->series;
	}
	state = ref_find(replay, record->series, true);
	if (record->encoding != CHUNK_ENCODING_XOR || count == 0 ||
		record->min_ms > record->max_ms ||
		(state->newest != 0 && record->min_ms <= state->max_ms)) {
		replay->odd_chunks++;
		return 0;
	}
	if (replay->entry_count == BATCH) {
		int rc = entries_flush(replay, err);
		if (rc < 0) {
			return rc;
		}
	}
	replay->entries[replay->entry_count] = (struct chunk_entry){ .ref = ref,
		.min_ms = record->min_ms,
		.max_ms = record->max_ms,
		.older = state->newest,
		.count = (uint32_t)count };
	state->newest = replay->db->list.end + (uint32_t)replay->entry_count++;
	state->max_ms = record->max_ms;
	return 0;
}

static int chunks_replay(struct replay *replay, struct err *err) {
	struct tsdb *db = replay->db;
	struct chunk_scan_result result;
	int64_t min_ms = INT64_MAX;
	uint64_t bytes = 0;
	int rc = chunk_files_open(&db->files, chunk_scanned, replay, &result, err);

	rc = rc < 0 ? rc : entries_flush(replay, err);
	if (rc < 0) {
		return rc;
	}
	if (result.is_corrupt) {
		atomic_fetch_add_explicit(&db->replay_corruptions, 1, memory_order_relaxed);
		log_warn("damaged chunk file: used up to the damage, later ones dropped; "
			 "what the log has of it is read again",
			KV("reason", result.damage.text));
	}
	chunk_files_usage(&db->files, &bytes, &min_ms);
	atomic_store_explicit(&db->min_ms, min_ms, memory_order_relaxed);
	return 0;
}

static void items_flush(struct replay *replay) {
	if (replay->item_count > 0) {
		head_cut(replay->db, replay->items, replay->item_count);
		head_publish(replay->db, replay->items, replay->item_count);
		replay->item_count = 0;
	}
}

/* Gives a series the full chunks of one of its references. */
static int chunks_attach(struct replay *replay, struct series *series,
	const struct ref_state *state, struct err *err) {
	struct tsdb *db = replay->db;
	const struct chunk_entry *oldest = chunk_list_get(&db->list, 1, state->newest);
	uint32_t oldest_number = state->newest;

	if (state->newest == 0) {
		return 0;
	}
	while (oldest->older != 0) {
		oldest_number = oldest->older;
		oldest = chunk_list_get(&db->list, 1, oldest_number);
	}
	if (series->last_ms != INT64_MIN && oldest->min_ms <= series->last_ms) {
		replay->odd_chunks++;
		return 0;
	}
	if (series->newest != 0) {
		int rc = chunk_list_relink(&db->list, oldest_number, series->newest, err);
		if (rc < 0) {
			return rc;
		}
	}
	series->newest = state->newest;
	series->last_ms = state->max_ms;
	if (state->max_ms > atomic_load_explicit(&db->max_ms, memory_order_relaxed)) {
		atomic_store_explicit(&db->max_ms, state->max_ms, memory_order_relaxed);
	}
	return 0;
}

static void alias_add(struct tsdb *db, uint64_t ref, uint32_t slot) {
	db->aliases = memory_resize(db->aliases, db->alias_count + 1, sizeof(struct series_alias));
	db->aliases[db->alias_count++] = (struct series_alias){
		.ref = ref, .slot = slot, .generation = series_at(db, slot)->generation
	};
}

static int series_replay_one(struct replay *replay, uint64_t ref, const struct label *pairs,
	size_t count, struct err *err) {
	struct tsdb *db = replay->db;
	struct ref_state *state;
	struct arena arena = { 0 };
	struct labels set = { 0 };
	struct series *series;
	uint32_t slot = 0;
	int rc;

	if (!ref_is_sane(ref)) {
		return 0;
	}
	if (ref > replay->max_ref) {
		replay->max_ref = ref;
	}
	state = ref_find(replay, ref, true);
	if (state->slot_plus_one != 0) {
		return 0;
	}
	rc = labels_build(&arena, pairs, count, &set, err);
	rc = rc < 0 ? rc : series_make(db, &set, &slot, err);
	arena_deinit(&arena);
	if (rc < 0) {
		return rc;
	}
	series = series_at(db, slot);
	state->slot_plus_one = slot + 1;
	/* Samples that wait may be older than what the chunks of this reference end with. */
	items_flush(replay);
	if ((series->flags & SERIES_LOGGED) != 0) {
		alias_add(db, ref, slot);
	} else {
		series->ref = ref;
		series->flags |= SERIES_LOGGED;
	}
	return chunks_attach(replay, series, state, err);
}

static int series_replay(struct replay *replay, struct record_reader *reader, struct err *err) {
	struct label pairs[LABELS_COUNT_MAX];
	size_t count = 0;
	uint64_t ref = 0;
	int rc;

	while ((rc = record_series_next(reader, &ref, pairs, &count, err)) == 1) {
		rc = series_replay_one(replay, ref, pairs, count, err);
		if (rc < 0) {
			return rc;
		}
	}
	return rc;
}

static int samples_replay(struct replay *replay, struct record_reader *reader, struct err *err) {
	int64_t time_ms = 0;
	uint64_t bits = 0;
	uint64_t ref = 0;
	int rc;

	while ((rc = record_samples_next(reader, &ref, &time_ms, &bits, err)) == 1) {
		const struct ref_state *state = ref_find(replay, ref, false);
		if (!state || state->slot_plus_one == 0) {
			replay->unknown_refs++;
			continue;
		}
		if (time_ms < replay->cutoff_ms ||
			time_ms <= series_at(replay->db, state->slot_plus_one - 1)->last_ms) {
			continue;
		}
		if (replay->item_count == BATCH) {
			items_flush(replay);
		}
		replay->items[replay->item_count++] = (struct pending){
			.slot = state->slot_plus_one - 1, .time_ms = time_ms, .value_bits = bits
		};
		replay->samples++;
	}
	return rc;
}

static int tombstones_replay(struct replay *replay, struct record_reader *reader, struct err *err) {
	struct tombstone stone = { 0 };
	uint64_t ref = 0;
	int rc;

	items_flush(replay);
	while ((rc = record_tombstones_next(reader, &ref, &stone.min_ms, &stone.max_ms, err)) ==
		1) {
		const struct ref_state *state = ref_find(replay, ref, false);
		if (!state || state->slot_plus_one == 0) {
			replay->unknown_refs++;
			continue;
		}
		if (replay->tombstone_count == replay->tombstone_capacity) {
			replay->tombstone_capacity = replay->tombstone_capacity * 2 + 16;
			replay->tombstones = memory_resize(
				replay->tombstones, replay->tombstone_capacity, sizeof(stone));
		}
		stone.slot = state->slot_plus_one - 1;
		replay->tombstones[replay->tombstone_count++] = stone;
		series_at(replay->db, stone.slot)->flags |= SERIES_TOMBSTONES;
	}
	return rc;
}

static int record_replay(struct replay *replay, struct str record, struct err *err) {
	struct record_reader reader;

	record_read(&reader, record);
	switch (reader.type) {
	case RECORD_SERIES:
		return series_replay(replay, &reader, err);
	case RECORD_SAMPLES:
		return samples_replay(replay, &reader, err);
	case RECORD_TOMBSTONES:
		return tombstones_replay(replay, &reader, err);
	default:
		replay->odd_records[reader.type]++;
		return 0;
	}
}

/*
 * Reads a segment. Returns 0, or an error with the place in '*at': behind the last good record.
 * Damage of any kind is ERR_CORRUPT.
 */
static int segment_replay(struct replay *replay, const char *path, size_t *at, struct err *err) {
	struct wal_reader reader;
	struct str record = { 0 };
	int rc = wal_reader_open(&reader, path, err);

	*at = 0;
	if (rc < 0) {
		return rc;
	}
	while ((rc = wal_reader_next(&reader, &record, err)) == 1) {
		rc = record_replay(replay, record, err);
		if (rc < 0) {
			break;
		}
		*at = reader.at;
	}
	wal_reader_close(&reader);
	return rc < 0 ? err_wrap(err, rc, "%s at %zu", path, *at) : 0;
}

static int checkpoint_replay(struct replay *replay, const char *path, struct err *err) {
	uint32_t *numbers = NULL;
	size_t count = 0;
	int rc = wal_segments_list(path, &numbers, &count, err);

	for (size_t i = 0; i < count && rc >= 0; i++) {
		AUTO(buf_deinit) struct buf segment = { 0 };
		size_t at;
		wal_segment_path(path, numbers[i], &segment);
		rc = segment_replay(replay, buf_text(&segment), &at, err);
	}
	free(numbers);
	return rc;
}

/*
 * Cuts a segment where it is damaged and removes all later ones, as nothing after it can be
 * trusted. The newest goes first: whatever ends this halfway leaves a log without a gap, damaged in
 * the same place.
 */
static int wal_repair(
	struct tsdb *db, const uint32_t *numbers, size_t count, size_t at, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	int fd = -1;
	int rc = 0;

	if (db->options.read_only) {
		return 0;
	}
	for (size_t i = count - 1; i > 0 && rc >= 0; i--) {
		buf_reset(&path);
		wal_segment_path(db->wal_dir, numbers[i], &path);
		rc = file_remove(buf_text(&path), err);
	}
	if (rc < 0) {
		return rc;
	}
	buf_reset(&path);
	wal_segment_path(db->wal_dir, numbers[0], &path);
	rc = file_open_append(buf_text(&path), 0666, &fd, err);
	if (rc < 0) {
		return rc;
	}
	rc = file_truncate(fd, at, err);
	rc = rc < 0 ? rc : file_sync(fd, err);
	file_close(fd);
	return rc;
}

/* Reads the segments from 'first' on. Puts the last one's number into '*last'. */
static int wal_replay(struct replay *replay, const uint32_t *numbers, size_t count, uint32_t *last,
	struct err *err) {
	struct tsdb *db = replay->db;

	for (size_t i = 0; i < count; i++) {
		AUTO(buf_deinit) struct buf path = { 0 };
		struct err damage = { 0 };
		size_t at;
		int rc;
		wal_segment_path(db->wal_dir, numbers[i], &path);
		rc = segment_replay(replay, buf_text(&path), &at, &damage);
		*last = numbers[i];
		if (rc < 0 && rc != ERR_CORRUPT) {
			return err_set(err, rc, "%s", damage.text);
		}
		if (rc == ERR_CORRUPT) {
			atomic_fetch_add_explicit(&db->replay_corruptions, 1, memory_order_relaxed);
			log_warn("damaged log: cut behind the last good record",
				KV("reason", damage.text), KV_INT("later_segments", count - i - 1));
			return wal_repair(db, numbers + i, count - i, at, err);
		}
	}
	return 0;
}

/* The segments behind the checkpoint; they must follow each other. */
static int segments_find(struct tsdb *db, bool has_checkpoint, uint32_t checkpoint,
	uint32_t **numbers, size_t *count, struct err *err) {
	size_t old = 0;
	int rc = wal_segments_list(db->wal_dir, numbers, count, err);

	if (rc < 0) {
		return rc;
	}
	while (has_checkpoint && old < *count && (*numbers)[old] <= checkpoint) {
		old++;
	}
	*count -= old;
	if (old > 0) {
		memmove(*numbers, *numbers + old, *count * sizeof(uint32_t));
	}
	for (size_t i = 0; i < *count; i++) {
		bool follows = i > 0 ? (*numbers)[i] == (*numbers)[i - 1] + 1
				     : !has_checkpoint || (*numbers)[0] == checkpoint + 1;
		if (!follows) {
			return err_set(err, ERR_CORRUPT,
				"%s: segment %08" PRIu32 " does not follow what is before it; "
				"bring back what is missing or remove this and later ones",
				db->wal_dir, (*numbers)[i]);
		}
	}
	return 0;
}

static void odd_report(struct replay *replay) {
	uint64_t skipped = 0;

	for (int type = 0; type < 256; type++) {
		uint64_t count = replay->odd_records[type];
		if (count == 0) {
			continue;
		}
		skipped += count;
		if (type == RECORD_EXEMPLARS || type == RECORD_METADATA) {
			continue;
		}
		log_warn("the log holds records that this version does not read; they are lost "
			 "when it is next cut",
			KV("kind", record_type_text((uint8_t)type)), KV_INT("type", type),
			KV_INT("records", count));
	}
	atomic_store_explicit(&replay->db->replay_skipped, skipped, memory_order_relaxed);
	if (replay->odd_chunks > 0) {
		log_warn("chunk files hold chunks that are not used: histograms, out of order, or "
			 "overlapping",
			KV_INT("chunks", replay->odd_chunks));
	}
	if (replay->unknown_refs > 0) {
		log_warn("the log holds samples of series that it does not describe",
			KV_INT("samples", replay->unknown_refs));
	}
}

/* The value of a series' newest sample, where all its samples are in full chunks. */
static void last_values_read(struct tsdb *db) {
	struct sample_column column = { 0 };

	for (uint32_t slot = 0; slot < db->slot_end; slot++) {
		struct series *series = series_at(db, slot);
		const struct chunk_entry *entry = chunk_list_get(&db->list, 1, series->newest);
		struct chunk_record record = { 0 };
		if (series->newest == 0 || series->count > 0 || !entry ||
			chunk_files_get(&db->files, entry->ref, &record, NULL) < 0) {
			continue;
		}
		column.count = 0;
		/* A chunk that cannot be read is told of when it is queried. */
		if (sample_column_reserve(&column, entry->count, NULL) >= 0 &&
			xor_decode(record.data, record.len, entry->count, column.times_ms,
				column.values, NULL) >= 0) {
			series->last_bits = double_bits(column.values[entry->count - 1]);
		}
	}
	sample_column_deinit(&column);
}

static int tombstone_order(const void *a, const void *b) {
	const struct tombstone *left = a;
	const struct tombstone *right = b;

	return left->slot != right->slot
		       ? (left->slot > right->slot) - (left->slot < right->slot)
		       : (left->min_ms > right->min_ms) - (left->min_ms < right->min_ms);
}

static int log_replay(struct replay *replay, struct err *err) {
	struct tsdb *db = replay->db;
	AUTO(buf_deinit) struct buf checkpoint = { 0 };
	uint32_t checkpoint_number = 0;
	uint32_t last = 0;
	uint32_t *numbers = NULL;
	size_t count = 0;
	int found = wal_checkpoint_find(db->wal_dir, &checkpoint, &checkpoint_number, err);
	int rc = found;

	if (rc >= 0) {
		rc = segments_find(db, found == 1, checkpoint_number, &numbers, &count, err);
	}
	if (rc >= 0 && found == 1) {
		last = checkpoint_number;
		rc = checkpoint_replay(replay, buf_text(&checkpoint), err);
	}
	if (rc >= 0) {
		rc = wal_replay(replay, numbers, count, &last, err);
	}
	items_flush(replay);
	db->first_segment = count > 0 ? numbers[0] : last;
	free(numbers);
	if (rc < 0 || db->options.read_only) {
		return rc;
	}
	return wal_open(&db->wal, db->wal_dir, db->options.wal_segment_size,
		found == 1 || count > 0 ? last + 1 : 0, err);
}

int head_replay(struct tsdb *db, struct err *err) {
	struct replay replay = { .db = db };
	int rc;

	replay.cutoff_ms = clock_now_ms(db->options.clock) - db->options.retention_ms;
	replay.entries = MEMORY_NEW(struct chunk_entry, BATCH);
	replay.items = MEMORY_NEW(struct pending, BATCH);
	rc = chunks_replay(&replay, err);
	rc = rc < 0 ? rc : log_replay(&replay, err);
	if (rc >= 0) {
		last_values_read(db);
		if (db->fresh) {
			memset(db->fresh, 0, db->live_words * sizeof(uint64_t));
		}
		if (replay.tombstone_count > 0) {
			qsort(replay.tombstones, replay.tombstone_count, sizeof(struct tombstone),
				tombstone_order);
		}
		db->tombstones = replay.tombstones;
		db->tombstone_count = replay.tombstone_count;
		replay.tombstones = NULL;
		db->next_ref = replay.max_ref + 1;
		odd_report(&replay);
		/* These count what is new since the start. */
		atomic_store_explicit(&db->samples, 0, memory_order_relaxed);
		atomic_store_explicit(&db->created, 0, memory_order_relaxed);
		atomic_store_explicit(&db->out_of_order, 0, memory_order_relaxed);
		atomic_store_explicit(&db->duplicates, 0, memory_order_relaxed);
	}
	replay_deinit(&replay);
	return rc;
}
