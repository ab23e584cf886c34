/* The scanner beside another one (jansson): what both say about a text. Used by the unit tests and
 * by fuzz_json. */
#ifndef PIERRE_TEST_AGAINST_JANSSON_H
#define PIERRE_TEST_AGAINST_JANSSON_H

#include <stdbool.h>
#include <stddef.h>

/* Ends the program when the two differ: one takes the text and the other does not, they find other
 * values, or our compact form of it is another value. Two rules of ours are stricter: nesting ends
 * at 64 (there at 2048), and a byte 0 behind the value is no end of the text. True: both took it.
 */
bool against_jansson(const char *text, size_t length);

#endif
