/* Compares the scanner with another one (jansson): what both report about a text. Used by the
 * unit tests and by fuzz_json. */
#ifndef PIERRE_TEST_AGAINST_JANSSON_H
#define PIERRE_TEST_AGAINST_JANSSON_H

#include <stdbool.h>
#include <stddef.h>

/* Ends the program when the two differ: one accepts the text and the other does not, they find
 * different values, or our compact form has another value. Two of our rules are stricter:
 * nesting ends at 64 (there at 2048), and a byte 0 after the value does not end the text.
 * Returns true when both accept it. */
bool against_jansson(const char *text, size_t length);

#endif
