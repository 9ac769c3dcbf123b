/*
 * What is remembered of mirrors between two runs, above all their ports: a JSON document
 * (docs/mirror.md). Pure functions.
 */
#ifndef MIRROR_STATE_H
#define MIRROR_STATE_H

#include "base/arena.h"
#include "base/err.h"
#include "mirror/view.h"

/* Most that are read; there are no more ports. */
#define STATE_MIRRORS_MAX 65535

/* Appends the document. */
void state_format(const struct mirror_view *views, size_t count, struct buf *out);
/*
 * Reads one; strings live in 'arena'. Sorted by cluster and export, each once, no port twice. Only
 * what a document holds is set. Returns 0, ERR_CORRUPT or ERR_LIMIT.
 */
MUST_USE int state_parse(struct arena *arena, struct str text, struct mirror_view **out,
	size_t *count, struct err *err);
/* Orders by cluster, then export. */
int view_compare(const struct mirror_view *a, const struct mirror_view *b);

#endif
