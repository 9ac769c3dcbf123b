/*
 * Native histograms as JSON.
 */
#ifndef API_RENDER_HISTOGRAM_H
#define API_RENDER_HISTOGRAM_H

#include "codec/json_writer.h"
#include "store/histogram.h"

/* [1.500,{"count":"3","sum":"5","buckets":[[0,"1","2","3"]]}], 'time' being that of the point as it
 * is to be written. */
void render_histogram(struct json_writer *json, struct str time, const struct histogram *histogram);

#endif
