/*
 * What of a Prometheus-compatible server may be asked through a gateway: reading, and only by the
 * exact paths and methods listed here. Anything else - other paths, other spellings of these,
 * methods that change something - is refused before a byte goes to the server. Any thread.
 */
#ifndef MESH_POLICY_H
#define MESH_POLICY_H

#include "base/err.h"
#include "http/message.h"

enum verdict {
	VERDICT_ALLOW,
	VERDICT_PATH,   /* 403: not one of the paths. */
	VERDICT_METHOD, /* 405: not one of the path's methods. */
	VERDICT_BODY    /* 415: a body of another type, or where none belongs. */
};

/* Judges a request to an export of kind "prometheus". 'err' says why unless it is allowed. */
enum verdict prometheus_policy(const struct http_request *request, struct err *err);

/* A short name for metrics: "path", "method", "body". */
const char *verdict_name(enum verdict verdict);

#endif
