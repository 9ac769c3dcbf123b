/*
 * The scraper as its parts see it.
 */
#ifndef SCRAPE_SCRAPER_H
#define SCRAPE_SCRAPER_H

#include "scrape/job.h"

struct scraper {
	struct scrape_shared shared;
	char *external_host;
	struct scrape_job *jobs; /* Changes under shared.lock. */
};

#endif
