/* Shallow size of an object in bytes, read from its struct.
 *
 * Covers what sys.getsizeof() gives for instances, list, tuple, dict, set,
 * frozenset, str, bytes, bytearray, int, generators and everything whose type
 * adds no separate memory.  For other C types it is the fixed part: asking them would
 * mean calling `__sizeof__`, which may be anybody's code.
 */
#ifndef MG_SIZES_H
#define MG_SIZES_H

#include "compat.h"

size_t mg_shallow_bytes(PyObject *object);

#endif
