#include "tsdb/tsdb.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "tsdb/head.h"

#include <stdlib.h>

/* Largest number of samples to a chunk: twice the default, as Prometheus cuts at the latest. */
#define SAMPLES_PER_CHUNK_DEFAULT 120
#define SAMPLES_PER_CHUNK_MAX 240

void tsdb_options_init(struct tsdb_options *options) {
	*options = (struct tsdb_options){ .clock = clock_system(),
		.retention_ms = TSDB_RETENTION_DEFAULT_MS,
		.wal_segment_size = WAL_SEGMENT_DEFAULT,
		.samples_per_chunk = SAMPLES_PER_CHUNK_DEFAULT };
}

static int options_check(const struct tsdb_options *options, struct err *err) {
	if (!options->path || options->path[0] == '\0') {
		return err_set(err, ERR_INVAL, "no directory is given for the data");
	}
	if (options->retention_ms <= 0) {
		return err_set(err, ERR_INVAL, "a retention of %lld ms; it must be more than 0",
			(long long)options->retention_ms);
	}
	if (options->samples_per_chunk == 0 || options->samples_per_chunk > SAMPLES_PER_CHUNK_MAX) {
		return err_set(err, ERR_INVAL, "%zu samples per chunk; it must be 1 to %d",
			options->samples_per_chunk, SAMPLES_PER_CHUNK_MAX);
	}
	if (options->wal_segment_size == 0 || options->wal_segment_size % WAL_PAGE != 0 ||
		options->wal_segment_size > UINT32_MAX) {
		return err_set(err, ERR_INVAL,
			"log segments of %llu bytes; it must be a multiple of %zu below 4 GiB",
			(unsigned long long)options->wal_segment_size, WAL_PAGE);
	}
	return 0;
}

/* A block's folder is named by a ULID: 26 characters of Crockford's alphabet. */
static bool is_block_name(struct str name) {
	if (name.len != 26) {
		return false;
	}
	for (size_t i = 0; i < name.len; i++) {
		if (!strchr("0123456789ABCDEFGHJKMNPQRSTVWXYZ", name.ptr[i])) {
			return false;
		}
	}
	return true;
}

static char *text_copy(const char *text) {
	struct buf copy = { 0 };

	buf_add_text(&copy, text);
	return buf_take(&copy);
}

static char *path_join(const char *dir, const char *name) {
	struct buf path = { 0 };

	buf_printf(&path, "%s/%s", dir, name);
	return buf_take(&path);
}

/* What in the directory is not ours to read: refuses blocks, tells of the rest. */
static int directory_check(const struct tsdb *db, struct err *err) {
	struct dir_list names = { 0 };
	size_t blocks = 0;
	const char *block = NULL;
	int rc = dir_list(db->path, &names, err);

	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < names.count; i++) {
		if (is_block_name(str_of(names.names[i]))) {
			block = names.names[i];
			blocks++;
		}
		if (strcmp(names.names[i], "wbl") == 0) {
			log_warn("out-of-order samples in wbl/ are not read", KV("path", db->path));
		}
	}
	if (blocks > 0) {
		rc = err_set(err, ERR_ABSENT,
			"%s holds %zu blocks (%s ...): reading blocks is not built yet; give "
			"another "
			"directory, or move the blocks away to go on without their samples",
			db->path, blocks, block);
	}
	dir_list_free(&names);
	return rc;
}

/* Removes what an interrupted write left, and snapshots of memory that will not be true any more.
 */
static int leftovers_remove(const struct tsdb *db, struct err *err) {
	const char *dirs[] = { db->path, db->wal_dir };
	int rc = 0;

	for (size_t k = 0; k < ARRAY_COUNT(dirs) && rc >= 0; k++) {
		struct dir_list names = { 0 };
		rc = path_exists(dirs[k]) ? dir_list(dirs[k], &names, err) : 0;
		for (size_t i = 0; i < names.count && rc >= 0; i++) {
			struct str name = str_of(names.names[i]);
			bool is_checkpoint = k == 1 && str_starts(name, STR("checkpoint.")) &&
					     str_ends(name, STR(".tmp"));
			if (is_checkpoint || (k == 0 && str_starts(name, STR("chunk_snapshot.")))) {
				char *path = path_join(dirs[k], names.names[i]);
				rc = dir_remove_tree(path, err);
				free(path);
			}
		}
		dir_list_free(&names);
	}
	return rc;
}

static int directory_open(struct tsdb *db, struct err *err) {
	char *lock_path;
	int rc;

	if (db->options.read_only) {
		return directory_check(db, err);
	}
	rc = dir_make(db->path, 0777, err);
	rc = rc < 0 ? rc : directory_check(db, err);
	if (rc >= 0 && !db->options.no_lockfile) {
		lock_path = path_join(db->path, "lock");
		rc = file_lock(lock_path, &db->lock_fd, err);
		free(lock_path);
	}
	rc = rc < 0 ? rc : leftovers_remove(db, err);
	return rc < 0 ? rc : dir_make(db->chunks_dir, 0777, err);
}

static struct tsdb *tsdb_new(const struct tsdb_options *options) {
	struct tsdb *db = MEMORY_NEW(struct tsdb, 1);
	const char *scratch = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): before threads

	db->store.ops = &head_store_ops;
	db->appendable.begin = head_appender_begin;
	db->options = *options;
	db->lock_fd = -1;
	db->path = text_copy(options->path);
	db->options.path = db->path;
	db->wal_dir = path_join(options->path, "wal");
	db->chunks_dir = path_join(options->path, "chunks_head");
	if (options->read_only) {
		db->scratch_dir = text_copy(scratch && scratch[0] ? scratch : "/tmp");
	}
	lock_init(&db->index_lock, LOCK_RANK_STORE);
	lock_init(&db->samples_lock, LOCK_RANK_STORE + 1);
	lock_init(&db->commit_lock, LOCK_RANK_STORE + 2);
	condition_init(&db->commit_done);
	index_init(&db->index);
	db->pages = MEMORY_NEW(struct series_page *, SERIES_PAGES_MAX);
	db->next_ref = 1;
	epochs_init(&db->epochs);
	chunk_files_init(&db->files, db->chunks_dir, db->scratch_dir, &db->epochs);
	chunk_list_init(&db->list, db->scratch_dir ? db->scratch_dir : db->chunks_dir, &db->epochs);
	atomic_init(&db->max_ms, INT64_MIN);
	atomic_init(&db->min_ms, INT64_MAX);
	return db;
}

static void tsdb_free(struct tsdb *db) {
	epochs_deinit(&db->epochs);
	for (uint32_t slot = 0; slot < db->slot_end; slot++) {
		struct series *series = series_at(db, slot);
		if (chunk_room(series->chunk_len) > CELL_SIZE_MAX) {
			cells_free(&db->chunk_cells, series->chunk, chunk_room(series->chunk_len));
		}
	}
	for (uint32_t page = 0; page * SERIES_PAGE < db->slot_end; page++) {
		free(db->pages[page]);
	}
	free(db->pages);
	wal_close(&db->wal);
	chunk_files_deinit(&db->files);
	chunk_list_deinit(&db->list);
	cells_deinit(&db->chunk_cells);
	index_deinit(&db->index);
	id_table_deinit(&db->series_table);
	file_close(db->lock_fd);
	lock_deinit(&db->index_lock);
	lock_deinit(&db->samples_lock);
	lock_deinit(&db->commit_lock);
	condition_deinit(&db->commit_done);
	free(db->live);
	free(db->fresh);
	free(db->slot_free);
	free(db->tombstones);
	free(db->aliases);
	free(db->cutting);
	free(db->cutting_entries);
	free(db->path);
	free(db->wal_dir);
	free(db->chunks_dir);
	free(db->scratch_dir);
	free(db->metrics);
	free(db);
}

int tsdb_open(const struct tsdb_options *options, struct tsdb **out, struct err *err) {
	int64_t start_ns = clock_mono_ns(options->clock);
	struct tsdb *db;
	int rc = options_check(options, err);

	if (rc < 0) {
		return rc;
	}
	db = tsdb_new(options);
	rc = directory_open(db, err);
	rc = rc < 0 ? rc : head_replay(db, err);
	if (rc < 0) {
		tsdb_free(db);
		return rc;
	}
	atomic_store_explicit(&db->wal_segment, db->wal.number, memory_order_relaxed);
	log_debug("data directory is open", KV("path", db->path),
		KV_INT("series", db->series_count),
		KV_INT("ms", (clock_mono_ns(options->clock) - start_ns) / NS_PER_MS));
	*out = db;
	return 0;
}

int tsdb_close(struct tsdb *db, struct err *err) {
	int rc = 0;

	if (!db) {
		return 0;
	}
	if (!db->options.read_only) {
		rc = wal_sync(&db->wal, err);
		rc = rc < 0 ? rc : chunk_files_sync(&db->files, err);
	}
	tsdb_free(db);
	return rc;
}

struct store *tsdb_store(struct tsdb *db) {
	return &db->store;
}

struct appendable *tsdb_appendable(struct tsdb *db) {
	return &db->appendable;
}

static uint64_t load(_Atomic uint64_t *counter) {
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void tsdb_stats_get(struct tsdb *db, struct tsdb_stats *out) {
	int64_t min_ms;

	*out = (struct tsdb_stats){ .series_created = load(&db->created),
		.series_removed = load(&db->removed),
		.samples = load(&db->samples),
		.out_of_order = load(&db->out_of_order),
		.duplicates = load(&db->duplicates),
		.too_old = load(&db->too_old),
		.chunks = load(&db->open_chunks) + load(&db->full_chunks),
		.wal_bytes = load(&db->wal_bytes),
		.wal_failures = load(&db->wal_failures),
		.wal_segment = load(&db->wal_segment),
		.checkpoints = load(&db->checkpoints),
		.replay_skipped = load(&db->replay_skipped),
		.replay_corruptions = load(&db->replay_corruptions) };
	out->min_time_ms = atomic_load_explicit(&db->min_ms, memory_order_relaxed);
	out->max_time_ms = atomic_load_explicit(&db->max_ms, memory_order_relaxed);
	chunk_files_usage(&db->files, &out->chunk_file_bytes, &min_ms);
	lock_take(&db->index_lock);
	out->series = db->series_count;
	out->label_pairs = db->index.pair_count;
	out->memory_bytes =
		index_bytes(&db->index) + db->series_table.capacity * sizeof(uint32_t) +
		(db->slot_end + SERIES_PAGE - 1) / SERIES_PAGE * sizeof(struct series_page);
	lock_drop(&db->index_lock);
	lock_take(&db->samples_lock);
	out->memory_bytes += cells_bytes(&db->chunk_cells);
	lock_drop(&db->samples_lock);
}
