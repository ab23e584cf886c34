/* Definitions for the generated part of the library (calls.gen.c): tables with the position of each
 * parameter and result member in its C struct, and one-line stubs that pass them to the functions
 * below.
 *
 * The generator is protocol/generator/emit_client.py; encode_params.c and decode_result.c interpret
 * the tables. */
#ifndef PIERRE_CLIENT_STUB_H
#define PIERRE_CLIENT_STUB_H

#include "pierre-db.h"

/* Representation of a value in a struct. */
enum stub_kind {
	STUB_BOOL,        /* bool */
	STUB_U16,         /* uint16_t */
	STUB_U32,         /* uint32_t */
	STUB_I64,         /* int64_t */
	STUB_F64,         /* double */
	STUB_TIME,        /* int64_t, microseconds */
	STUB_TEXT,        /* const char * */
	STUB_JSON,        /* const char *, JSON text */
	STUB_OBJECT_TEXT, /* the same, objects only */
	STUB_TEXTS,       /* const char *const *, and a size_t at `beside` */
	STUB_COUNTS,      /* const struct pierre_count *, and a size_t at `beside` */
	STUB_OBJECT,      /* const struct …*, of `type` */
	STUB_OBJECTS,     /* the same, an array, and a size_t at `beside` */
	STUB_WHOLE, /* results only: const char *, JSON text of the object from which the struct is
	               made */
};

enum {
	STUB_OPTIONAL = 1, /* may be null: a NULL pointer; numbers have a bool at `beside` that is
	                      true when present */
	STUB_BY_POINTER =
		2, /* parameters only: an optional number is passed as a pointer, or NULL */
};

struct stub_field {
	const char *name;
	uint8_t kind;
	uint8_t flags;
	uint16_t offset;
	uint16_t beside;
	const struct stub_type *type;
};

struct stub_type {
	size_t size;
	const struct stub_field *fields;
	size_t count;
};

enum stub_result {
	STUB_RESULT_NONE,  /* null */
	STUB_RESULT_VALUE, /* stores a number, or the pointer to a text, in *out */
	STUB_RESULT_ROW,   /* stores the pointer to a struct, or NULL for null, in *out */
	STUB_RESULT_ROWS,  /* an array of structs; its pointer and its length are put into *out and
	                    *count */
};

struct stub_method {
	const char *name;
	bool write;
	bool keyed;                     /* an idempotency key makes it happen once */
	const struct stub_type *params; /* of the stub's argument struct; NULL without parameters */
	uint8_t result;                 /* enum stub_result */
	struct stub_field value;        /* kind, flags (STUB_OPTIONAL) and type of the result */
};

extern const struct stub_method stub_methods[];
extern const size_t stub_method_count;

#endif
