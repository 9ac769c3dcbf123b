/*
 * Routing: which handler serves a method and path. Immutable once the server runs.
 *
 * Paths are compared as sent: nothing is unescaped or normalised first, so that "/a/../b" and
 * "/%61" are simply not found and cannot mean something else to somebody in front of us.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "http/server.h"

struct router;

/* Called on the loop; 'param' is what stood in the path for '*', unescaped; empty if none did. */
typedef void route_fn(void *context, struct exchange *exchange, struct str param);

/* An empty router: everything is 404. */
struct router *router_new(void);
/* No server may route with it any more. */
void router_free(struct router *router);
/*
 * Adds a route. 'methods' is "GET", "GET,POST", ...; 'pattern' a path in which one segment, or the
 * whole tail after a '/', may be '*': "/api/v1/label/" "*" "/values". A segment is never empty, a
 * tail may be. An exact path wins over a star, a longer pattern over a shorter; what wins decides
 * alone, so its other methods are 405. HEAD is served where GET is. Both strings are static.
 */
void router_add(struct router *router, const char *methods, const char *pattern, route_fn *run,
	void *context);
/* An http_handler_fn whose context is the router: 404 and 405 (with Allow) are its own. */
void router_handle(void *context, struct exchange *exchange);

#endif
