/* What the compiler says of this build. */
#ifndef MG_BUILD_H
#define MG_BUILD_H

#if defined(__OPTIMIZE__) || defined(MG_BUILD_OPTIMISED)
#define MG_OPTIMISED 1
#else
#define MG_OPTIMISED 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(MG_BUILD_SANITIZED)
#define MG_SANITIZED 1
#else
#define MG_SANITIZED 0
#endif

#if defined(CYTHON_TRACE) && CYTHON_TRACE
#define MG_TRACED 1
#else
#define MG_TRACED 0
#endif

#ifdef NDEBUG
#define MG_ASSERTIONS 0
#else
#define MG_ASSERTIONS 1
#endif

#if defined(__clang__) || defined(__GNUC__)
#define MG_COMPILER __VERSION__
#else
#define MG_COMPILER "unknown"
#endif

#endif
