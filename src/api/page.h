/*
 * The web page: a few files inside the program, served compressed and cacheable.
 *
 * The page asks the API next to it and nothing else, and runs under a Content-Security-Policy that
 * allows just that. Whether it is a hub's or a monitor's it finds out from the API.
 */
#ifndef API_PAGE_H
#define API_PAGE_H

#include "http/router.h"

/* Adds the routes "/", "/assets/" and, for links to Prometheus' own page, "/graph" and "/query". */
void page_register(struct router *router);

#endif
