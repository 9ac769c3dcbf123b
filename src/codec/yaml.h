/*
 * YAML as Prometheus reads it (the dialect of Go's yaml.v2 / v3 for configuration files): a tree of
 * nodes that know their line, and a strict way to read mappings.
 *
 * Nodes live in the arena given. Anchors, aliases and merge keys ("<<") are resolved, with a bound
 * on expansion. Duplicate keys are errors.
 */
#ifndef CODEC_YAML_H
#define CODEC_YAML_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most nodes after aliases are expanded, and deepest nesting. */
#define YAML_NODES_MAX 1000000
#define YAML_DEPTH_MAX 100

enum yaml_kind {
	YAML_SCALAR,
	YAML_SEQUENCE,
	YAML_MAPPING
};

struct yaml_node {
	enum yaml_kind kind;
	unsigned line;   /* From 1. */
	struct str text; /* Scalars. */
	bool is_quoted;  /* Scalars: written in quotes or as a block; then never null, bool or
			    number. */
	struct yaml_node *items; /* Sequences: items. Mappings: key, value, key, value, ... */
	size_t count;            /* Items, or pairs. */
};

/* Parses the first document. Returns 0 (an empty one gives a null scalar), ERR_INVAL "line N: ...",
 * or ERR_LIMIT. */
MUST_USE int yaml_parse(
	struct arena *arena, struct str text, struct yaml_node **out, struct err *err);

/* Whether a scalar is null: empty and unquoted, ~, null. */
bool yaml_is_null(const struct yaml_node *node);
/* The value of 'key' in a mapping, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *mapping, struct str key);
/*
 * Scalars as values; null is false, 0 and "". Numbers and booleans also read as the text they were
 * written as. Each returns 0 or ERR_INVAL "line N: cannot unmarshal ... into ...".
 */
MUST_USE int yaml_to_bool(const struct yaml_node *node, bool *out, struct err *err);
MUST_USE int yaml_to_int(const struct yaml_node *node, int64_t *out, struct err *err);
MUST_USE int yaml_to_double(const struct yaml_node *node, double *out, struct err *err);
MUST_USE int yaml_to_str(const struct yaml_node *node, struct str *out, struct err *err);

#endif
