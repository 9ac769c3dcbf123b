/*
 * Readers and printers of the settings that are more than one value; see struct setting.
 */
#ifndef CONFIG_BLOCKS_H
#define CONFIG_BLOCKS_H

#include "config/settings.h"

/* Readers: fill 'member' from 'node'. */
int global_read(struct reader *, const struct yaml_node *, void *, struct err *);
int scrapes_read(struct reader *, const struct yaml_node *, void *, struct err *);
int protocols_read(struct reader *, const struct yaml_node *, void *, struct err *);
int scheme_read(struct reader *, const struct yaml_node *, void *, struct err *);
int escaping_read(struct reader *, const struct yaml_node *, void *, struct err *);
int url_scheme_read(struct reader *, const struct yaml_node *, void *, struct err *);
int fallback_read(struct reader *, const struct yaml_node *, void *, struct err *);
int file_patterns_read(struct reader *, const struct yaml_node *, void *, struct err *);
int addresses_read(struct reader *, const struct yaml_node *, void *, struct err *);
int labels_read(struct reader *, const struct yaml_node *, void *, struct err *);
int external_labels_read(struct reader *, const struct yaml_node *, void *, struct err *);
int params_read(struct reader *, const struct yaml_node *, void *, struct err *);
int relabel_read(struct reader *, const struct yaml_node *, void *, struct err *);
int static_read(struct reader *, const struct yaml_node *, void *, struct err *);
int file_sd_read(struct reader *, const struct yaml_node *, void *, struct err *);

/* Printers: append what 'member' holds under 'key'. */
void global_print(const char *, const void *, int, struct buf *);
void scrapes_print(const char *, const void *, int, struct buf *);
void list_print(const char *, const void *, int, struct buf *);
void text_print(const char *, const void *, int, struct buf *);
void scheme_print(const char *, const void *, int, struct buf *);
void labels_print(const char *, const void *, int, struct buf *);
void params_print(const char *, const void *, int, struct buf *);
void relabel_print(const char *, const void *, int, struct buf *);
void static_print(const char *, const void *, int, struct buf *);
void file_sd_print(const char *, const void *, int, struct buf *);

/*
 * Builds the rules whose reading had to wait until the job's naming scheme is known. Returns 0 or
 * ERR_INVAL.
 */
MUST_USE int relabels_build(struct reader *reader, const struct config_scrape *scrape,
	struct config_relabels *relabels, const char *key, struct err *err);

extern const struct settings settings_file_sd;
extern const struct settings settings_targets;

#endif
