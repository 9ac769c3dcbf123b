/*
 * How far a rotation is, as a file in the new anchor's directory: lines of a word and its value.
 */
#ifndef TRUST_ROTATION_FILE_H
#define TRUST_ROTATION_FILE_H

#include "trust/rotation.h"

/* Whether there is one. */
bool rotation_file_exists(const char *directory);
/* Replaces the file. Returns 0 or ERR_IO. */
MUST_USE int rotation_file_write(const struct rotation *rotation, struct err *err);
/* Reads the text; everything lives in the rotation's arena. Returns 0 or ERR_CORRUPT. */
MUST_USE int rotation_file_parse(struct str text, struct rotation *out, struct err *err);
/* Adds a copy of 'text'. Returns 0, ERR_INVAL (bytes that a line cannot hold) or ERR_LIMIT. */
MUST_USE int rotation_names_add(
	struct rotation *rotation, struct rotation_names *names, struct str text, struct err *err);

#endif
