/*
 * A directory of exports, one to a file: what programs add and remove beside the configuration that
 * people write.
 *
 * A file that cannot be read harms no other; one that was fine before counts as it was then, until
 * it is mended or removed. Owned by one loop; reads files, as a configuration is read, on it.
 */
#ifndef MESH_EXPORT_FILES_H
#define MESH_EXPORT_FILES_H

#include "base/buf.h"
#include "mesh/exports.h"

/* Of a file, and how it is called: NAME.yaml, NAME being the export's by custom. */
#define EXPORT_FILE_BYTES_MAX ((size_t)64 * 1024)
#define EXPORT_FILE_SUFFIX ".yaml"

struct export_files;

/* Nothing is read yet. */
struct export_files *export_files_new(const char *directory);
/* NULL is fine. */
void export_files_free(struct export_files *files);
/* Reads what changed. Returns whether anything did; what is wrong is added to 'complaints', "; "
 * between two. */
bool export_files_look(struct export_files *files, struct buf *complaints);
/* Adds all that are good to a list; what is wrong is added to 'complaints'. */
void export_files_add(
	const struct export_files *files, struct exports *exports, struct buf *complaints);

#endif
