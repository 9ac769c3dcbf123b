#include "mirror/writer.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "io/file.h"

#include <stdlib.h>

struct slot {
	struct buf text;    /* To be written. */
	bool is_wanted;     /* There is one. */
	bool was_put;       /* 'hash' is of a text. */
	uint64_t hash;      /* Of what was put last. */
	bool is_complained; /* That it failed was said. */
};

/* A round: the thread's until it is done, then the loop's. */
struct round {
	struct writer *writer; /* The loop's; NULL: nobody waits for it any more. */
	struct loop *loop;
	const char *directory;
	const struct writer_file *files;
	size_t count;
	struct buf texts[WRITER_FILES_MAX];
	bool is_wanted[WRITER_FILES_MAX];
	struct err failures[WRITER_FILES_MAX];
};

struct writer {
	struct loop *loop;
	char *directory;
	const struct writer_file *files;
	size_t count;
	struct metric_family *errors;
	struct pool *pool;
	struct slot slots[WRITER_FILES_MAX];
	struct round *round; /* Under way. */
};

static void write_all(struct round *round) {
	for (size_t i = 0; i < round->count; i++) {
		if (round->is_wanted[i]) {
			AUTO(buf_deinit) struct buf path = { 0 };
			buf_printf(&path, "%s/%s", round->directory, round->files[i].name);
			/* The outcome stands in 'failures'. */
			(void)!file_write_atomic(buf_text(&path), buf_str(&round->texts[i]),
				round->files[i].mode, &round->failures[i]);
		}
	}
}

static void round_free(struct round *round) {
	for (size_t i = 0; i < round->count; i++) {
		buf_deinit(&round->texts[i]);
	}
	free(round);
}

/* A text that could not be written is to be written still, unless a newer one came. */
static void take_failure(struct writer *writer, struct round *round, size_t file) {
	struct slot *slot = &writer->slots[file];
	const char *const values[] = { writer->files[file].name };
	metric_inc(metric_child(writer->errors, values));
	if (!slot->is_complained) {
		log_error("file of mirrors not written, trying again",
			KV("file", writer->files[file].name), KV_ERR(&round->failures[file]));
	}
	slot->is_complained = true;
	if (!slot->is_wanted) {
		slot->is_wanted = true;
		buf_deinit(&slot->text);
		slot->text = round->texts[file];
		round->texts[file] = (struct buf){ 0 };
	}
}

/* On the loop. Returns whether all was written. */
static bool finish(struct round *round) {
	struct writer *writer = round->writer;
	bool is_fine = true;
	for (size_t i = 0; writer && i < round->count; i++) {
		if (!round->is_wanted[i]) {
			continue;
		}
		if (round->failures[i].code != 0) {
			take_failure(writer, round, i);
			is_fine = false;
		} else {
			writer->slots[i].is_complained = false;
		}
	}
	if (writer) {
		writer->round = NULL;
	}
	round_free(round);
	return is_fine;
}

static void on_done(void *context) {
	struct round *round = context;
	struct writer *writer = round->writer;
	/* What failed waits for the owner's next writer_run: disks do not mend at once. */
	if (finish(round) && writer) {
		writer_run(writer);
	}
}

static void on_thread(void *context) {
	struct round *round = context;
	write_all(round);
	/* One at a time, far below LOOP_POST_MAX. */
	CHECK(loop_post(round->loop, on_done, round));
}

struct writer *writer_new(struct loop *loop, const char *directory, const struct writer_file *files,
	size_t count, struct metric_family *errors) {
	CHECK(count <= WRITER_FILES_MAX);
	struct writer *writer = MEMORY_NEW(struct writer, 1);
	writer->loop = loop;
	writer->directory = strdup(directory);
	CHECK(writer->directory);
	writer->files = files;
	writer->count = count;
	writer->errors = errors;
	writer->pool = pool_new("mirror-files", THREAD_QUERY, 1, 1);
	return writer;
}

void writer_put(struct writer *writer, size_t file, struct str text) {
	struct slot *slot = &writer->slots[file];
	uint64_t hash = hash_str(text, 1);
	if (slot->was_put && slot->hash == hash) {
		return;
	}
	slot->was_put = true;
	slot->hash = hash;
	slot->is_wanted = true;
	buf_reset(&slot->text);
	buf_add_str(&slot->text, text);
}

static struct round *make_round(struct writer *writer) {
	bool is_wanted = false;
	for (size_t i = 0; i < writer->count; i++) {
		is_wanted = is_wanted || writer->slots[i].is_wanted;
	}
	if (!is_wanted) {
		return NULL;
	}
	struct round *round = MEMORY_NEW(struct round, 1);
	round->writer = writer;
	round->loop = writer->loop;
	round->directory = writer->directory;
	round->files = writer->files;
	round->count = writer->count;
	for (size_t i = 0; i < writer->count; i++) {
		round->is_wanted[i] = writer->slots[i].is_wanted;
		round->texts[i] = writer->slots[i].text;
		writer->slots[i].text = (struct buf){ 0 };
		writer->slots[i].is_wanted = false;
	}
	return round;
}

void writer_run(struct writer *writer) {
	if (writer->round) {
		return;
	}
	writer->round = make_round(writer);
	if (writer->round) {
		/* The one before has been handed back, so there is room in the queue. */
		CHECK(pool_submit(writer->pool, on_thread, writer->round));
	}
}

void writer_free(struct writer *writer) {
	if (!writer) {
		return;
	}
	pool_free(writer->pool);
	if (writer->round) {
		writer->round->writer = NULL; /* on_done frees it. */
	}
	struct round *last = make_round(writer);
	if (last) {
		write_all(last);
		(void)finish(last);
	}
	for (size_t i = 0; i < writer->count; i++) {
		buf_deinit(&writer->slots[i].text);
	}
	free(writer->directory);
	free(writer);
}
