/*
 * What happens now and then: retention, checkpoints, freeing.
 *
 * A checkpoint is written from memory, not from the old log: all series, and the samples of their
 * open chunks, which are all the samples that are in no chunk file. First a new segment is begun;
 * whatever was in the segments before is then either in a chunk file or in an open chunk. What is
 * written meanwhile may be in the checkpoint and in the new segment: reading it twice does no harm.
 */
#include "base/memory.h"
#include "tsdb/head.h"
#include "tsdb/record.h"

#include <inttypes.h>
#include <stdlib.h>

/* The log is cut when what is closed of it has more than this many segments' bytes... */
#define CHECKPOINT_SEGMENTS 2
/* ...or so many segments, as after many restarts. */
#define CHECKPOINT_SEGMENT_COUNT 16

/* One series as it goes into a checkpoint. */
struct saved {
	uint32_t slot;
	uint16_t count;
	uint32_t offset; /* Of its open chunk in the bytes saved. */
	uint32_t len;
	uint8_t flags;
};

struct checkpoint {
	struct tsdb *db;
	struct wal wal;
	struct saved saved[SERIES_PAGE];
	size_t saved_count;
	struct buf chunks;
	struct buf record;
	struct buf packed;
	struct sample_column column;
	uint64_t bytes;
};

/* Takes the state of one page of series. */
static void page_save(struct checkpoint *checkpoint, uint32_t first, uint32_t end) {
	struct tsdb *db = checkpoint->db;
	uint64_t live[SERIES_PAGE / 64] = { 0 };

	checkpoint->saved_count = 0;
	buf_reset(&checkpoint->chunks);
	lock_take(&db->index_lock);
	memcpy(live, db->live + first / 64, sizeof(live));
	lock_drop(&db->index_lock);
	lock_take(&db->samples_lock);
	for (uint32_t slot = first; slot < end; slot++) {
		const struct series *series = series_at(db, slot);
		if ((live[(slot - first) / 64] >> (slot & 63) & 1) == 0 ||
			(series->flags & SERIES_LOGGED) == 0) {
			continue;
		}
		checkpoint->saved[checkpoint->saved_count++] = (struct saved){ .slot = slot,
			.count = series->count,
			.offset = (uint32_t)checkpoint->chunks.len,
			.len = series->chunk_len,
			.flags = series->flags };
		if (series->count > 0) {
			buf_append(&checkpoint->chunks, series->chunk, series->chunk_len);
		}
	}
	lock_drop(&db->samples_lock);
}

static int record_write(struct checkpoint *checkpoint, struct err *err) {
	struct wal_record record;

	buf_reset(&checkpoint->packed);
	record = wal_record_pack(buf_str(&checkpoint->record),
		!checkpoint->db->options.no_wal_compression, &checkpoint->packed);
	checkpoint->bytes += record.bytes.len;
	return wal_write(&checkpoint->wal, &record, 1, err);
}

static void series_add(struct checkpoint *checkpoint, uint32_t slot, uint64_t ref) {
	struct label pairs[LABELS_COUNT_MAX];
	const struct series *series = series_at(checkpoint->db, slot);

	series_labels(checkpoint->db, series, pairs);
	record_series_add(&checkpoint->record, ref, series_pair_count(series));
	for (size_t i = 0; i < series_pair_count(series); i++) {
		record_label_add(&checkpoint->record, pairs[i].name, pairs[i].value);
	}
}

static int page_series_write(struct checkpoint *checkpoint, struct err *err) {
	if (checkpoint->saved_count == 0) {
		return 0;
	}
	buf_reset(&checkpoint->record);
	record_series_begin(&checkpoint->record);
	for (size_t i = 0; i < checkpoint->saved_count; i++) {
		uint32_t slot = checkpoint->saved[i].slot;
		series_add(checkpoint, slot, series_at(checkpoint->db, slot)->ref);
	}
	return record_write(checkpoint, err);
}

static int page_samples_write(struct checkpoint *checkpoint, struct err *err) {
	struct record_samples samples;

	buf_reset(&checkpoint->record);
	record_samples_begin(&samples, &checkpoint->record);
	for (size_t i = 0; i < checkpoint->saved_count; i++) {
		const struct saved *saved = &checkpoint->saved[i];
		struct sample_column *column = &checkpoint->column;
		int rc;
		column->count = 0;
		rc = sample_column_reserve(column, saved->count, err);
		if (rc < 0) {
			return rc;
		}
		rc = xor_decode((const uint8_t *)buf_text(&checkpoint->chunks) + saved->offset,
			saved->len, saved->count, column->times_ms, column->values, err);
		if (rc < 0) {
			return rc;
		}
		for (size_t k = 0; k < saved->count; k++) {
			record_samples_add(&samples, series_at(checkpoint->db, saved->slot)->ref,
				column->times_ms[k], double_bits(column->values[k]));
		}
	}
	return samples.count > 0 ? record_write(checkpoint, err) : 0;
}

static int tombstones_write(struct checkpoint *checkpoint, struct err *err) {
	struct tsdb *db = checkpoint->db;
	size_t count = 0;

	buf_reset(&checkpoint->record);
	record_tombstones_begin(&checkpoint->record);
	for (size_t i = 0; i < db->tombstone_count; i++) {
		const struct tombstone *stone = &db->tombstones[i];
		const struct series *series = series_at(db, stone->slot);
		bool is_kept;
		lock_take(&db->samples_lock);
		is_kept = (series->flags & SERIES_TOMBSTONES) != 0;
		lock_drop(&db->samples_lock);
		if (is_kept) {
			record_tombstone_add(
				&checkpoint->record, series->ref, stone->min_ms, stone->max_ms);
			count++;
		}
	}
	return count > 0 ? record_write(checkpoint, err) : 0;
}

/* The other references by which chunk files may know a series. */
static int aliases_write(struct checkpoint *checkpoint, struct err *err) {
	struct tsdb *db = checkpoint->db;
	size_t count = 0;

	buf_reset(&checkpoint->record);
	record_series_begin(&checkpoint->record);
	for (size_t i = 0; i < db->alias_count; i++) {
		const struct series_alias *alias = &db->aliases[i];
		uint32_t generation =
			__atomic_load_n(&series_at(db, alias->slot)->generation, __ATOMIC_RELAXED);
		if (generation == alias->generation) {
			series_add(checkpoint, alias->slot, alias->ref);
			count++;
		}
	}
	return count > 0 ? record_write(checkpoint, err) : 0;
}

static int checkpoint_fill(struct checkpoint *checkpoint, struct err *err) {
	struct tsdb *db = checkpoint->db;
	uint32_t end;
	int rc = 0;

	lock_take(&db->index_lock);
	end = db->slot_end;
	lock_drop(&db->index_lock);
	for (uint32_t first = 0; first < end && rc >= 0; first += SERIES_PAGE) {
		uint32_t page_end = first + SERIES_PAGE < end ? first + SERIES_PAGE : end;
		page_save(checkpoint, first, page_end);
		rc = page_series_write(checkpoint, err);
		rc = rc < 0 ? rc : page_samples_write(checkpoint, err);
	}
	rc = rc < 0 ? rc : aliases_write(checkpoint, err);
	rc = rc < 0 ? rc : tombstones_write(checkpoint, err);
	return rc < 0 ? rc : wal_sync(&checkpoint->wal, err);
}

static void checkpoint_deinit(struct checkpoint *checkpoint) {
	wal_close(&checkpoint->wal);
	buf_deinit(&checkpoint->chunks);
	buf_deinit(&checkpoint->record);
	buf_deinit(&checkpoint->packed);
	sample_column_deinit(&checkpoint->column);
}

/* Removes the segments up to 'number' and the checkpoints before it. */
static int log_cut(struct tsdb *db, uint32_t number, struct err *err) {
	struct dir_list names = { 0 };
	int rc = dir_list(db->wal_dir, &names, err);

	for (size_t i = 0; i < names.count && rc >= 0; i++) {
		AUTO(buf_deinit) struct buf path = { 0 };
		struct str name = str_of(names.names[i]);
		uint64_t value = 0;
		buf_printf(&path, "%s/%s", db->wal_dir, names.names[i]);
		if (str_to_u64(name, &value)) {
			rc = value <= number ? file_remove(buf_text(&path), err) : 0;
		} else if (str_starts(name, STR("checkpoint.")) &&
			   (!str_to_u64(str_from(name, sizeof("checkpoint.") - 1), &value) ||
				   value < number)) {
			rc = dir_remove_tree(buf_text(&path), err);
		}
	}
	dir_list_free(&names);
	return rc < 0 ? rc : dir_sync(db->wal_dir, err);
}

/* Begins a new segment; puts the number of the one before into '*closed'. */
static int log_rotate(struct tsdb *db, uint32_t *closed, struct err *err) {
	int rc;

	committer_take(db);
	*closed = db->wal.number;
	rc = wal_rotate(&db->wal, err);
	atomic_store_explicit(&db->wal_segment, db->wal.number, memory_order_relaxed);
	committer_drop(db);
	return rc;
}

int head_checkpoint(struct tsdb *db, struct err *err) {
	struct checkpoint *checkpoint = MEMORY_NEW(struct checkpoint, 1);
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf beside = { 0 };
	uint32_t closed = 0;
	int rc = log_rotate(db, &closed, err);

	checkpoint->db = db;
	buf_printf(&path, "%s/checkpoint.%08" PRIu32, db->wal_dir, closed);
	buf_printf(&beside, "%s.tmp", buf_text(&path));
	rc = rc < 0 ? rc : dir_remove_tree(buf_text(&beside), err);
	if (rc >= 0) {
		rc = wal_open(
			&checkpoint->wal, buf_text(&beside), db->options.wal_segment_size, 0, err);
	}
	rc = rc < 0 ? rc : checkpoint_fill(checkpoint, err);
	/* What left the open chunks since the rotation must be as durable as the checkpoint. */
	rc = rc < 0 ? rc : chunk_files_sync(&db->files, err);
	rc = rc < 0 ? rc : dir_sync(buf_text(&beside), err);
	rc = rc < 0 ? rc : file_rename(buf_text(&beside), buf_text(&path), err);
	rc = rc < 0 ? rc : dir_sync(db->wal_dir, err);
	rc = rc < 0 ? rc : log_cut(db, closed, err);
	if (rc >= 0) {
		db->checkpoint_size = checkpoint->bytes;
		db->first_segment = closed + 1;
		atomic_fetch_add_explicit(&db->checkpoints, 1, memory_order_relaxed);
	}
	checkpoint_deinit(checkpoint);
	free(checkpoint);
	return rc < 0 ? err_wrap(err, rc, "checkpoint") : 0;
}

/* Whether the closed part of the log has grown enough to be worth a checkpoint. */
static bool checkpoint_is_due(struct tsdb *db) {
	uint32_t current = (uint32_t)atomic_load_explicit(&db->wal_segment, memory_order_relaxed);
	uint64_t enough = CHECKPOINT_SEGMENTS * db->options.wal_segment_size;
	uint64_t closed = 0;

	if (current - db->first_segment >= CHECKPOINT_SEGMENT_COUNT) {
		return true;
	}
	for (uint32_t number = db->first_segment; number < current; number++) {
		AUTO(buf_deinit) struct buf path = { 0 };
		uint64_t size = 0;
		int fd = -1;
		wal_segment_path(db->wal_dir, number, &path);
		if (file_open_append(buf_text(&path), 0666, &fd, NULL) >= 0 &&
			file_size(fd, &size, NULL) >= 0) {
			closed += size;
		}
		file_close(fd);
	}
	enough = enough > db->checkpoint_size * 2 ? enough : db->checkpoint_size * 2;
	return closed >= enough;
}

/* Series whose newest sample is too old, and those that never got one. Returns how many; for
 * free(). */
static size_t expired_find(struct tsdb *db, int64_t cutoff_ms, uint32_t **slots) {
	size_t count = 0;
	size_t capacity = 0;
	uint32_t end;

	*slots = NULL;
	lock_take(&db->index_lock);
	end = db->slot_end;
	lock_drop(&db->index_lock);
	for (uint32_t first = 0; first < end; first += SERIES_PAGE) {
		uint32_t page_end = first + SERIES_PAGE < end ? first + SERIES_PAGE : end;
		uint64_t old[SERIES_PAGE / 64]; /* Not fresh. */
		if (count + SERIES_PAGE > capacity) {
			capacity = capacity * 2 + SERIES_PAGE;
			*slots = memory_resize(*slots, capacity, sizeof(uint32_t));
		}
		lock_take(&db->index_lock);
		for (size_t i = 0; i < ARRAY_COUNT(old); i++) {
			old[i] = db->live[first / 64 + i] & ~db->fresh[first / 64 + i];
			db->fresh[first / 64 + i] = 0;
		}
		lock_drop(&db->index_lock);
		lock_take(&db->samples_lock);
		for (uint32_t slot = first; slot < page_end; slot++) {
			bool is_old = (old[(slot - first) / 64] >> (slot & 63) & 1) != 0;
			if (is_old && series_at(db, slot)->last_ms < cutoff_ms) {
				(*slots)[count++] = slot;
			}
		}
		lock_drop(&db->samples_lock);
	}
	return count;
}

static void slot_free_retired(void *context, uint64_t slot) {
	series_release(context, (uint32_t)slot);
}

static void pair_free_retired(void *context, uint64_t pair) {
	struct tsdb *db = context;

	lock_take(&db->index_lock);
	index_pair_release(&db->index, (uint32_t)pair);
	lock_drop(&db->index_lock);
}

/*
 * Takes series out of the tables, unless they got a sample since they were found. Leaves in 'slots'
 * those that went, marked in 'gone'. Returns how many.
 */
static size_t expired_unlink(
	struct tsdb *db, int64_t cutoff_ms, uint32_t *slots, size_t count, struct bitmap *gone) {
	size_t kept = 0;

	committer_take(db);
	lock_take(&db->index_lock);
	for (size_t i = 0; i < count; i++) {
		if (series_at(db, slots[i])->last_ms < cutoff_ms) {
			series_unlink(db, slots[i]);
			bitmap_set(gone, slots[i]);
			slots[kept++] = slots[i];
		}
	}
	lock_drop(&db->index_lock);
	committer_drop(db);
	return kept;
}

/* Takes the series that went out of the postings of one pair. */
static void pair_clean(struct tsdb *db, uint32_t pair, const struct bitmap *gone) {
	lock_take(&db->index_lock);
	if (index_series_remove(&db->index, pair, gone)) {
		index_pair_unlink(&db->index, pair);
		epochs_retire(&db->epochs, pair_free_retired, db, pair);
	}
	lock_drop(&db->index_lock);
}

/* Bitmaps with room for every series and every pair of those that there are by now. */
static int bitmaps_build(struct tsdb *db, struct arena *arena, struct bitmap *series,
	struct bitmap *pairs, struct err *err) {
	lock_take(&db->index_lock);
	uint32_t slot_end = db->slot_end;
	uint32_t pair_end = db->index.pair_end;
	lock_drop(&db->index_lock);
	int rc = bitmap_build(arena, slot_end, series, err);
	return rc < 0 ? rc : bitmap_build(arena, pair_end, pairs, err);
}

static int series_expire(struct tsdb *db, int64_t cutoff_ms, struct err *err) {
	struct arena arena = { 0 };
	struct bitmap gone = { 0 };
	struct bitmap pairs = { 0 };
	uint32_t *slots = NULL;
	size_t count = expired_find(db, cutoff_ms, &slots);
	uint32_t pair = 0;
	int rc = 0;

	if (count > 0) {
		rc = bitmaps_build(db, &arena, &gone, &pairs, err);
	}
	if (rc >= 0 && count > 0) {
		count = expired_unlink(db, cutoff_ms, slots, count, &gone);
		for (size_t i = 0; i < count; i++) {
			const struct series *series = series_at(db, slots[i]);
			for (size_t k = 0; k < series_pair_count(series); k++) {
				bitmap_set(&pairs, series->pairs[k]);
			}
		}
		for (; bitmap_next(&pairs, &pair); pair++) {
			pair_clean(db, pair, &gone);
		}
		lock_take(&db->index_lock);
		index_names_compact(&db->index);
		lock_drop(&db->index_lock);
		for (size_t i = 0; i < count; i++) {
			epochs_retire(&db->epochs, slot_free_retired, db, slots[i]);
		}
	}
	free(slots);
	arena_deinit(&arena);
	return rc;
}

/* Drops the chunk files that are past retention, and their entries. */
static int chunks_expire(struct tsdb *db, int64_t cutoff_ms, struct err *err) {
	uint32_t file = chunk_files_first_since(&db->files, cutoff_ms);
	uint32_t first = chunk_list_first(&db->list);
	uint32_t low = first;
	uint32_t high;
	uint64_t bytes;
	int64_t min_ms;
	int rc;

	committer_take(db);
	high = db->list.end;
	committer_drop(db);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct chunk_entry *entry = chunk_list_get(&db->list, first, middle);
		if (entry && entry->ref >> 32 >= file) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	/* The list first: who still finds an entry holds the file behind it. */
	if (low > first && file != 0) {
		chunk_list_drop(&db->list, low);
		atomic_fetch_sub_explicit(&db->full_chunks, low - first, memory_order_relaxed);
	}
	rc = chunk_files_drop(&db->files, file, err);
	if (low > first && file != 0) {
		chunk_files_usage(&db->files, &bytes, &min_ms);
		if (min_ms > atomic_load_explicit(&db->min_ms, memory_order_relaxed)) {
			atomic_store_explicit(&db->min_ms, min_ms, memory_order_relaxed);
		}
	}
	return rc;
}

/* As the committer, for it alone changes where open chunks are. */
static void page_compact(struct tsdb *db, uint32_t first, uint32_t end) {
	uint64_t live[SERIES_PAGE / 64];

	lock_take(&db->index_lock);
	memcpy(live, db->live + first / 64, sizeof(live));
	lock_drop(&db->index_lock);
	committer_take(db);
	lock_take(&db->samples_lock);
	for (uint32_t slot = first; slot < end; slot++) {
		struct series *series = series_at(db, slot);
		if ((live[(slot - first) / 64] >> (slot & 63) & 1) != 0 && series->chunk) {
			series->chunk = cells_compact(
				&db->chunk_cells, series->chunk, chunk_room(series->chunk_len));
		}
	}
	lock_drop(&db->samples_lock);
	committer_drop(db);
}

void head_compact(struct tsdb *db) {
	uint32_t end;

	lock_take(&db->index_lock);
	end = db->slot_end;
	lock_drop(&db->index_lock);
	for (uint32_t first = 0; first < end; first += SERIES_PAGE) {
		page_compact(db, first, first + SERIES_PAGE < end ? first + SERIES_PAGE : end);
	}
}

/* Gives back the memory between open chunks that growth, cuts and removed series left. */
static void memory_trim(struct tsdb *db) {
	bool has_more = true;
	bool is_sparse;

	lock_take(&db->samples_lock);
	is_sparse = cells_are_sparse(&db->chunk_cells);
	lock_drop(&db->samples_lock);
	if (is_sparse) {
		head_compact(db);
	}
	while (has_more) {
		lock_take(&db->samples_lock);
		has_more = cells_trim(&db->chunk_cells);
		lock_drop(&db->samples_lock);
	}
}

int tsdb_checkpoint(struct tsdb *db, struct err *err) {
	return db->options.read_only ? 0 : head_checkpoint(db, err);
}

int tsdb_maintain(struct tsdb *db, struct err *err) {
	int64_t cutoff_ms = clock_now_ms(db->options.clock) - db->options.retention_ms;
	int rc;

	if (db->options.read_only) {
		return 0;
	}
	rc = chunks_expire(db, cutoff_ms, err);
	rc = rc < 0 ? rc : series_expire(db, cutoff_ms, err);
	(void)epochs_collect(&db->epochs);
	memory_trim(db);
	if (rc >= 0 && checkpoint_is_due(db)) {
		rc = head_checkpoint(db, err);
	}
	return rc;
}
