/*
 * Constants of the compact matrix's layout, version 1; docs/formats/matrix.md has the byte tables.
 */
#ifndef MATRIX_LAYOUT_H
#define MATRIX_LAYOUT_H

#define LAYOUT_MAGIC "\x89MTX"
#define LAYOUT_MAGIC_LEN 4
#define LAYOUT_VERSION 1

/* Flags. */
#define LAYOUT_ORDERED 1U

/* Grids with fewer steps have a column for each step, the others one for each series. */
#define LAYOUT_BY_SERIES_MIN 4

/* Kinds of result. */
enum layout_type {
	LAYOUT_SCALAR = 0,
	LAYOUT_VECTOR = 1,
	LAYOUT_RAW = 2,
	LAYOUT_STRING = 3,
};

#endif
