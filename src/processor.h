/*
 * processor.h
 *		Whether the processors have more to do than they can.
 */
#ifndef IMP_PROCESSOR_H
#define IMP_PROCESSOR_H

#include "postgres.h"

/*
 * How long this process has waited for a processor since the last call, in
 * microseconds; 0 if that was little beside the time for which it had one, and
 * where the kernel does not tell.
 */
extern int64 processor_waited(void);

#endif							/* IMP_PROCESSOR_H */
