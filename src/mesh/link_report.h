/*
 * What programs tell of their links and of themselves, as JSON; on the loop.
 */
#ifndef MESH_LINK_REPORT_H
#define MESH_LINK_REPORT_H

#include "base/time.h"
#include "codec/json_writer.h"
#include "trust/identity.h"

/* {"status":"success","data":{"identity":...,"time_ms":...,"own":{...}: more members follow. */
void status_begin(
	struct json_writer *writer, const struct trust_identity *own, const struct clock *clock);
void status_end(struct json_writer *writer);

#endif
