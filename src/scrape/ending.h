/*
 * Endings: end marks for the series of a target that is not scraped any more.
 *
 * The target may come back, so they are written two intervals and a tenth after its last scrape,
 * with the time of the scrape that did not take place: if somebody goes on with a series by then,
 * the mark is older than its newest sample and refused.
 */
#ifndef SCRAPE_ENDING_H
#define SCRAPE_ENDING_H

#include "scrape/run.h"

struct ending {
	struct timer timer;
	struct ending *next;
	struct scrape_shared *shared;
	int64_t time_ms; /* Of the marks. */
	struct series_ref *refs;
	size_t count;
};

/* Plans the end of everything that lives in 'run'. */
void ending_start(struct scrape_run *run);

#endif
