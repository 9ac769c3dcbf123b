/*
 * Exports over HTTP, for programs of the gateway's own machine: listed, put and deleted. What is
 * put becomes a file in the directory of exports (export_files.h), so it is there after a restart.
 *
 * Whoever asks shows a token. Owned by one loop; files are written by a thread of its own.
 */
#ifndef MESH_EXPORT_API_H
#define MESH_EXPORT_API_H

#include "http/router.h"
#include "mesh/exports.h"

struct export_api;

struct export_api_options {
	struct loop *loop;
	const char *directory;                     /* Copied, as is the next. */
	const char *token_file;                    /* Read for every request. */
	struct exports *(*exports)(void *context); /* What is in use now; borrowed. */
	void (*changed)(void *context); /* A file was written or removed; after it, it is in use. */
	void *context;
};

/* Nothing is read or written yet. */
struct export_api *export_api_new(const struct export_api_options *options);
/* Waits for what is being written; its answers are broken off. NULL is fine. */
void export_api_free(struct export_api *api);
/* Adds the routes. */
void export_api_register(struct export_api *api, struct router *router);

#endif
