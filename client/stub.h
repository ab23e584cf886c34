/* What the generated part of the library (calls.gen.c) consists of: tables that say where each
 * parameter and each member of a result lies in its C struct, and stubs of one line that hand them
 * to the functions below.
 *
 * The emitter is protocol/generator/emit_client.py; encode_params.c and decode_result.c interpret
 * the tables. */
#ifndef PIERRE_CLIENT_STUB_H
#define PIERRE_CLIENT_STUB_H

#include "pierre-db.h"

/* How a value lies in a struct. */
enum stub_kind {
	STUB_BOOL,        /* bool */
	STUB_U16,         /* uint16_t */
	STUB_U32,         /* uint32_t */
	STUB_I64,         /* int64_t */
	STUB_F64,         /* double */
	STUB_TIME,        /* int64_t, microseconds */
	STUB_TEXT,        /* const char * */
	STUB_JSON,        /* const char *, JSON text */
	STUB_OBJECT_TEXT, /* the same, only an object is taken */
	STUB_TEXTS,       /* const char *const *, and a size_t at `beside` */
	STUB_COUNTS,      /* const struct pierre_count *, and a size_t at `beside` */
	STUB_OBJECT,      /* const struct …*, of `type` */
	STUB_WHOLE, /* results only: const char *, JSON text of the object that the struct was made
	               from */
};

enum {
	STUB_OPTIONAL = 1, /* may be null: a NULL pointer; numbers have a bool at `beside` that says
	                      whether there is one */
	STUB_BY_POINTER =
		2, /* parameters only: an optional number is given as a pointer, or NULL */
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
	STUB_RESULT_VALUE, /* a number into *out, or a text whose pointer is put into *out */
	STUB_RESULT_ROW, /* a struct, or NULL where null is allowed; its pointer is put into *out */
	STUB_RESULT_ROWS, /* an array of structs; its pointer and its length are put into *out and
	                   *count */
};

struct stub_method {
	const char *name;
	bool write;
	const struct stub_type
		*params; /* of the stub's own struct of arguments; NULL without parameters */
	uint8_t result;  /* enum stub_result */
	struct stub_field value; /* kind, flags (STUB_OPTIONAL) and type of the result */
};

extern const struct stub_method stub_methods[];
extern const size_t stub_method_count;

#endif
