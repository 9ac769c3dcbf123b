/*
 * Reading the API's parameters: times, durations, limits, selectors, with Prometheus' error texts.
 */
#ifndef API_PARAMS_H
#define API_PARAMS_H

#include "base/err.h"
#include "http/server.h"
#include "http/uri.h"
#include "source/source.h"

/* Puts 'invalid parameter "NAME": ' before the sentence in 'err'; returns 'code'. */
int param_invalid(const char *name, int code, struct err *err);

/* Collects the query string and a form body. 'params' live in the exchange's arena. */
MUST_USE int params_collect(struct exchange *exchange, struct uri_params *params, struct err *err);

/*
 * Seconds since 1970 (fractions round to ms) or RFC 3339; 'absent_ms' without the parameter.
 * Returns 0, or ERR_INVAL with Prometheus' sentence.
 */
MUST_USE int param_time(const struct uri_params *params, const char *name, int64_t absent_ms,
	int64_t *out, struct err *err);
/* Seconds or a Prometheus duration, in ms; 'absent_ms' without the parameter. */
MUST_USE int param_duration(const struct uri_params *params, const char *name, int64_t absent_ms,
	int64_t *out, struct err *err);
/* How many results are wanted; 0, as without the parameter: all. */
MUST_USE int param_limit(const struct uri_params *params, size_t *out, struct err *err);

/* query, time, timeout, lookback_delta, limit, partial_response, explain; 'now_ms' stands for a
 * missing time. */
MUST_USE int params_instant(const struct uri_params *params, int64_t now_ms,
	struct query_request *request, int64_t *timeout_ms, struct err *err);
/* As params_instant with start, end, step and their checks. */
MUST_USE int params_range(const struct uri_params *params, struct query_request *request,
	int64_t *timeout_ms, struct err *err);

/*
 * match[], start, end, limit. The selectors live in 'trees' (as many as there are match[]; the
 * caller gives an array of that size and deinits it). Returns 0, or ERR_INVAL: '*bad_match' tells
 * whether because of a selector, which endpoints word differently.
 */
MUST_USE int params_meta(const struct uri_params *params, struct expr_tree *trees,
	struct arena *arena, struct meta_request *request, bool *bad_match, struct err *err);
/* How often 'name' is given. */
size_t params_count(const struct uri_params *params, struct str name);

/* Undoes Prometheus' "U__" escaping of a label name. Returns the name itself if it has none. */
struct str param_unescape_name(struct arena *arena, struct str name);

#endif
