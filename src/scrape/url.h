/*
 * URLs of targets, and query strings, escaped as Go's net/url does it.
 */
#ifndef SCRAPE_URL_H
#define SCRAPE_URL_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "label/labels.h"

/* Appends a query's name or value: space is '+'. */
void url_escape_query(struct str text, struct buf *out);
/* Appends a path. */
void url_escape_path(struct str text, struct buf *out);

/*
 * The URL of a target with these labels: __scheme__, __address__, __metrics_path__, and the
 * parameters of the job with __param_NAME put first. In 'arena', followed by a NUL.
 */
struct str url_of_target(
	struct arena *arena, const struct labels *labels, const struct config_params *params);

/*
 * The value of parameter 'name' in a query string, unescaped into 'arena'; empty if it is absent or
 * malformed. The first one counts.
 */
struct str url_query_value(struct arena *arena, struct str query, struct str name);

/*
 * The URL as others may reach it: a host that is this machine's loopback is replaced by
 * 'external_host' ("name:port"), the port too if it is 'own_port'. In 'arena'.
 */
struct str url_global(
	struct arena *arena, struct str url, struct str external_host, unsigned own_port);

#endif
