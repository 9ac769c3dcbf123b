/*
 * A source of one cluster: an engine over a store, with the scraper's documents.
 */
#ifndef SOURCE_LOCAL_H
#define SOURCE_LOCAL_H

#include "source/source.h"

/* Writes the JSON of 'path' ("metadata", "targets"); see source_ops.document. Any thread. */
typedef int local_document_fn(
	void *context, struct str path, struct str args, struct buf *out, struct err *err);

/* Immutable after init: any thread may call. */
struct local_source {
	struct source source;
	struct engine *engine; /* Borrowed, as all below. */
	struct store *store;
	local_document_fn *document;
	void *document_context;
};

/* Fills in 'local', which owns nothing. 'document' may be NULL: then there are none (ERR_ABSENT).
 */
void local_source_init(struct local_source *local, struct engine *engine, struct store *store,
	local_document_fn *document, void *document_context);

#endif
