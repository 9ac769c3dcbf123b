/*
 * Our own metrics, served at /metrics in the text format.
 *
 * A family is declared once (name, kind, help, label names) in a registry; its children (one per
 * combination of label values) are found or made by value and then updated without a lock. The
 * number of children of a family is bounded: past METRIC_CHILDREN_MAX all further ones share one
 * child whose values read "other". Any thread. Children live as long as the registry.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"
#include "base/compiler.h"

#include <stddef.h>
#include <stdint.h>

#define METRIC_LABELS_MAX 4
#define METRIC_CHILDREN_MAX 5000

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM
};

struct metric_registry;
struct metric_family;
struct metric;

/* Freeing a registry frees its families and children; fine with NULL. */
struct metric_registry *metric_registry_new(void);
void metric_registry_free(struct metric_registry *registry);

/*
 * Declares a family, or returns the one of that name (kind and labels must then agree). 'name' and
 * 'help' are static; 'labels' is a NULL-terminated static list, or NULL for none. 'bounds' are the
 * 'bound_count' ascending upper bounds of a histogram, without +Inf.
 */
struct metric_family *metric_declare(struct metric_registry *registry, enum metric_kind kind,
	const char *name, const char *help, const char *const *labels);
struct metric_family *metric_declare_histogram(struct metric_registry *registry, const char *name,
	const char *help, const char *const *labels, const double *bounds, size_t bound_count);

/* The child with these label values (copied), as many as the family has labels. */
struct metric *metric_child(struct metric_family *family, const char *const *values);
/* The only child of a family without labels. */
struct metric *metric_single(struct metric_family *family);
/* Forgets a child (a removed cluster's); the pointer must not be used afterwards. */
void metric_remove(struct metric_family *family, const char *const *values);

/* Adds to a counter (nothing negative) or a gauge. */
void metric_add(struct metric *metric, double value);
void metric_inc(struct metric *metric);
/* Sets a gauge, or a counter to what somebody else counted. */
void metric_set(struct metric *metric, double value);
/* Counts a value in a histogram. */
void metric_observe(struct metric *metric, double value);
/* A counter's or gauge's value; a histogram's sum. */
double metric_value(const struct metric *metric);

/*
 * A function called before every writing, on the thread that writes, to set gauges from what it
 * knows. It may use the registry. 'context' must live as long as the registry.
 */
typedef void metric_collect_fn(void *context);
void metric_on_collect(struct metric_registry *registry, metric_collect_fn *collect, void *context);

/* Zeroed memory that is freed with the registry, for a collector's context. */
void *metric_registry_own(struct metric_registry *registry, size_t size);

/* Appends everything in text format 0.0.4, families by name. */
void metric_write(struct metric_registry *registry, struct buf *out);

/* process_* and atoll_build_info, as every Prometheus exporter has them. */
void metric_register_process(struct metric_registry *registry);

#endif
