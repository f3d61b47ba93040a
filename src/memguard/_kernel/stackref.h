/* What frames refer by: plain addresses, and tagged ones from 3.14 on.
 *
 * For the two files that see CPython's internal headers, after those of frames.
 */
#ifndef MG_STACKREF_H
#define MG_STACKREF_H

#if PY_VERSION_HEX >= 0x030e0000

typedef _PyStackRef mg_stackref;

/* Two low bits tell what kind of reference it is; both set, a bare number. */
static inline PyObject *
mg_referred(mg_stackref reference)
{
    return (reference.bits & 3) == 3
        ? NULL : (PyObject *)(reference.bits & ~(uintptr_t)3);
}

/* It is not counted: somebody else has it meanwhile, such as the frame that called with
   a variable of its own; or the object is immortal. */
static inline int
mg_is_borrowed(mg_stackref reference)
{
    return (reference.bits & 3) != 0;
}

#else

typedef PyObject *mg_stackref;

static inline PyObject *
mg_referred(mg_stackref reference)
{
    return reference;
}

static inline int
mg_is_borrowed(mg_stackref reference)
{
    (void)reference;
    return 0;
}

#endif

#endif
