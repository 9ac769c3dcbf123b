/*
 * A directory of hubs that a gateway dials, one to a file: what atoll link add writes there. Owned
 * by one loop.
 */
#ifndef MESH_HUB_FILES_H
#define MESH_HUB_FILES_H

#include "base/buf.h"
#include "mesh/exports.h"

#include <stdbool.h>

#define HUB_FILE_BYTES_MAX ((size_t)64 * 1024)

struct hub_files;

/* Reads nothing yet; the directory is copied. */
struct hub_files *hub_files_new(const char *directory);
/* Fine with NULL. */
void hub_files_free(struct hub_files *files);
/* Reads all *.yaml that do not begin with a dot. Returns whether they are others than before;
 * appends to 'complaints' what cannot be read. */
bool hub_files_look(struct hub_files *files, struct buf *complaints);
/* Adds the hubs to a list that nobody else holds yet; appends to 'complaints' what cannot be used.
 */
void hub_files_add(const struct hub_files *files, struct exports *exports, struct buf *complaints);

#endif
