/*
 * Routing: which handler serves a method and path. Immutable once the server runs.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "http/server.h"

struct router;

/* Called on the loop; 'param' is what stood in the path for '*', unescaped; empty if none did. */
typedef void route_fn(void *context, struct exchange *exchange, struct str param);

struct router *router_new(void);
void router_free(struct router *router);
/*
 * Adds a route. 'methods' is "GET", "GET,POST", ...; 'pattern' a path in which one segment, or the
 * whole tail after "/", may be '*': "/api/v1/label/(*)/values" is written with a bare star. Exact
 * paths win over stars. HEAD is served where GET is.
 */
void router_add(struct router *router, const char *methods, const char *pattern, route_fn *run,
	void *context);
/* An http_handler_fn whose context is the router: 404 and 405 (with Allow) are its own. */
void router_handle(void *router, struct exchange *exchange);

#endif
