/* The part of the real table that the tiny catalog needs. */
#define ERROR_KINDS(X)                                                          \
	X(INVALID_PARAMS, -32602, "invalid_params", false, "a bad parameter")     \
	X(NOT_FOUND, -32001, "not_found", false, "the row does not exist")        \
	X(CONFLICT, -32002, "conflict", false, "a unique key is taken")           \
	X(UNAVAILABLE, -32003, "unavailable", true, "no database")                \
	X(DECRYPTION_FAILED, -32008, "decryption_failed", false, "cannot be opened")
