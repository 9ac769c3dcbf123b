/*
 * What is sent to a target: the request's headers and credentials, as Prometheus sends them.
 */
#ifndef SCRAPE_REQUEST_H
#define SCRAPE_REQUEST_H

#include "base/arena.h"
#include "io/fetch.h"
#include "scrape/target.h"

/*
 * Fills in 'out' for one scrape, all but the callbacks; what it points to lives in 'arena'.
 * Relative file names begin at 'folder'. Returns 0, or ERR_IO when a file with a password or token
 * cannot be read.
 */
MUST_USE int scrape_request_build(const struct config_scrape *job, struct str folder,
	const struct target *target, struct arena *arena, struct fetch_request *out,
	struct err *err);

/* Appends the Accept header's value: the job's protocols by falling weight. */
void scrape_request_accept(const struct config_scrape_limits *limits, struct buf *out);

/* The media type that a fallback_scrape_protocol stands for; empty for none. */
struct str scrape_request_fallback(const struct config_scrape *job);

#endif
