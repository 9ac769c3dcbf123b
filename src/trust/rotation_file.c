#include "trust/rotation_file.h"

#include "io/file.h"

#include <string.h>

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define FIRST_LINE STR("atoll-rotation 1")

static const char *const step_names[] = {
	[ROTATION_BEGUN] = "begun",
	[ROTATION_PUBLISHED] = "published",
	[ROTATION_SWITCHED] = "switched",
	[ROTATION_RETIRED] = "retired",
};

const char *rotation_step_name(enum rotation_step step) {
	return step_names[step];
}

static void path_of(const char *directory, struct buf *out) {
	buf_printf(out, "%s/rotation", directory);
}

bool rotation_file_exists(const char *directory) {
	AUTO(buf_deinit) struct buf path = { 0 };
	path_of(directory, &path);
	return path_exists(buf_text(&path));
}

static void write_names(const char *word, const struct rotation_names *names, struct buf *out) {
	for (size_t i = 0; i < names->count; i++) {
		buf_printf(out, "%s %s\n", word, names->items[i]);
	}
}

int rotation_file_write(const struct rotation *rotation, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	path_of(rotation->directory, &path);
	buf_printf(&text,
		"%.*s\nstep %s\nold %s\nnew %s\nleaf_lifetime_ms %lld\nswitched_ms %lld\n",
		STR_ARG(FIRST_LINE), step_names[rotation->step], rotation->old_anchor,
		rotation->new_anchor, (long long)rotation->leaf_lifetime_ms,
		(long long)rotation->switched_ms);
	write_names("issuer", &rotation->issuers, &text);
	write_names("hub", &rotation->hubs, &text);
	write_names("without", &rotation->left_out, &text);
	return file_write_atomic(buf_text(&path), buf_str(&text), 0644, err);
}

int rotation_names_add(
	struct rotation *rotation, struct rotation_names *names, struct str text, struct err *err) {
	if (text.len == 0 || str_find(text, '\n') != SIZE_MAX || str_find(text, '\0') != SIZE_MAX) {
		return err_set(err, ERR_INVAL, "a name that is empty or has a line break");
	}
	if (names->count == ROTATION_NAMES_MAX) {
		return err_set(err, ERR_LIMIT, "more than %d of a kind", ROTATION_NAMES_MAX);
	}
	names->items[names->count++] = arena_copy(&rotation->arena, text).ptr;
	return 0;
}

static bool read_digest(struct str value, char out[ANCHOR_DIGEST_LEN + 1]) {
	if (value.len != ANCHOR_DIGEST_LEN) {
		return false;
	}
	memcpy(out, value.ptr, value.len);
	out[value.len] = '\0';
	return true;
}

static bool read_step(struct str value, enum rotation_step *out) {
	for (int i = 0; i < ROTATION_STEP_COUNT; i++) {
		if (str_equal(value, str_of(step_names[i]))) {
			*out = (enum rotation_step)i;
			return true;
		}
	}
	return false;
}

static bool read_line(struct rotation *rotation, struct str word, struct str value) {
	if (str_equal(word, STR("step"))) {
		return read_step(value, &rotation->step);
	}
	if (str_equal(word, STR("old"))) {
		return read_digest(value, rotation->old_anchor);
	}
	if (str_equal(word, STR("new"))) {
		return read_digest(value, rotation->new_anchor);
	}
	if (str_equal(word, STR("leaf_lifetime_ms"))) {
		return str_to_i64(value, &rotation->leaf_lifetime_ms);
	}
	if (str_equal(word, STR("switched_ms"))) {
		return str_to_i64(value, &rotation->switched_ms);
	}
	struct rotation_names *names = str_equal(word, STR("issuer"))    ? &rotation->issuers
				       : str_equal(word, STR("hub"))     ? &rotation->hubs
				       : str_equal(word, STR("without")) ? &rotation->left_out
									 : NULL;
	return names && rotation_names_add(rotation, names, value, NULL) == 0;
}

int rotation_file_parse(struct str text, struct rotation *out, struct err *err) {
	struct rotation rotation = { .step = ROTATION_STEP_COUNT };
	int rc = 0;
	if (!str_equal(str_cut(&text, '\n'), FIRST_LINE)) {
		return err_set(err, ERR_CORRUPT, "line 1: this is not how far a rotation is");
	}
	for (int number = 2; rc == 0 && text.len > 0; number++) {
		struct str value = str_cut(&text, '\n');
		struct str word = str_cut(&value, ' ');
		if (!read_line(&rotation, word, value)) {
			rc = err_set(err, ERR_CORRUPT, "line %d: malformed", number);
		}
	}
	if (rc == 0 && (rotation.step == ROTATION_STEP_COUNT || !rotation.old_anchor[0] ||
			       !rotation.new_anchor[0] || rotation.leaf_lifetime_ms <= 0)) {
		rc = err_set(err, ERR_CORRUPT, "something is missing");
	}
	if (rc < 0) {
		rotation_deinit(&rotation);
		return rc;
	}
	*out = rotation;
	return 0;
}

int rotation_load(const char *directory, struct rotation *out, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	path_of(directory, &path);
	int rc = file_read(buf_text(&path), FILE_BYTES_MAX, &text, err);
	if (rc < 0) {
		return rc;
	}
	rc = rotation_file_parse(buf_str(&text), out, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s", buf_text(&path));
	}
	out->directory = arena_copy(&out->arena, str_of(directory)).ptr;
	return 0;
}

void rotation_deinit(struct rotation *rotation) {
	arena_deinit(&rotation->arena);
	*rotation = (struct rotation){ 0 };
}
