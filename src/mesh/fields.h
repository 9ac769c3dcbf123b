/*
 * Reading YAML mappings strictly, by a table of what may stand in them.
 */
#ifndef MESH_FIELDS_H
#define MESH_FIELDS_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/yaml.h"

#include <stdbool.h>
#include <stddef.h>

enum field_kind {
	FIELD_TEXT,     /* struct str */
	FIELD_TEXTS,    /* struct texts: a sequence of scalars */
	FIELD_COUNT,    /* uint64_t */
	FIELD_BYTES,    /* uint64_t: 512, 64KB, 10MiB (powers of 1024) */
	FIELD_DURATION, /* int64_t milliseconds: 500ms, 30s, 5m, 1h */
	FIELD_NODE      /* const struct yaml_node *: read by the caller */
};

struct texts {
	struct str *items;
	size_t count;
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset; /* Of the member in the target. */
	bool is_required;
};

/*
 * Reads 'mapping' into 'target', whose members keep their values where a key is missing. Strings
 * are the node's own. 'what' is what the mapping is called in errors ("export"). Returns 0, or
 * ERR_INVAL "line N: ..." for another kind of node, a key not in the table, a required one that is
 * missing or a value that cannot be read.
 */
MUST_USE int fields_read(struct arena *arena, const struct yaml_node *mapping, const char *what,
	const struct field *fields, size_t field_count, void *target, struct err *err);

#endif
