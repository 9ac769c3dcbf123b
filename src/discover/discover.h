/*
 * Discovery: which targets a job has, from its static_configs and file_sd_configs.
 *
 * One 'struct discovery' per job, owned by the scrape loop. Files are read, in a pool, when they
 * change (inotify) and every refresh_interval; a file that cannot be read or parsed keeps its last
 * good groups, is logged and counted (prometheus_sd_file_read_errors_total).
 */
#ifndef DISCOVER_DISCOVER_H
#define DISCOVER_DISCOVER_H

#include "base/metric.h"
#include "base/pool.h"
#include "config/config.h"
#include "io/loop.h"

/* Most files one pattern may match, and most bytes in one of them. */
#define DISCOVER_FILES_MAX 10000
#define DISCOVER_FILE_BYTES_MAX (64U * 1024U * 1024U)

struct discovery;

/* Called on the loop after the groups changed. */
typedef void discovery_fn(void *context);

/*
 * Starts finding the targets of 'job' (which belongs to 'config'; a reference is kept). The first
 * read is done on return; 'changed' tells of later ones, which are done in 'pool' (NULL: on the
 * loop). After a stop the loop has to run once more when the pool has ended. 'metrics' may be NULL.
 */
struct discovery *discovery_start(struct loop *loop, struct pool *pool, struct config *config,
	const struct config_scrape *job, struct metric_registry *metrics, discovery_fn *changed,
	void *context);
void discovery_stop(struct discovery *discovery);

/* The groups known now, valid until the next change or stop; returns how many. */
size_t discovery_groups(
	const struct discovery *discovery, const struct config_targets *const **groups);

#endif
