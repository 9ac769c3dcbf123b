/*
 * The built page as the program holds it; the table is made by tools/embed.py. Immutable.
 */
#ifndef API_PAGE_ASSETS_H
#define API_PAGE_ASSETS_H

#include <stddef.h>

struct page_asset {
	const char *path; /* "/" or "/assets/NAME-HASH.EXTENSION" */
	const char *content_type;
	const char *tag;            /* Of the plain bytes: 16 hexadecimal digits. */
	const unsigned char *bytes; /* gzip */
	size_t size;
	size_t plain_size;
};

extern const struct page_asset page_assets[];
extern const size_t page_asset_count;

#endif
