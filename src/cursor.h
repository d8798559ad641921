/*
 * cursor.h
 *		How far the worker has read: generations of snapshots.
 *
 * New work is what a newer snapshot sees and the one before does not.  Each
 * such difference is a generation; it is complete when it has been read to
 * its end and each of its messages has a row of some kind in the tables.  The
 * snapshot of the last generation before the first incomplete one may be
 * stored.
 */
#ifndef IMP_CURSOR_H
#define IMP_CURSOR_H

#include "postgres.h"

typedef struct Generation Generation;

/* Snapshots are the text form of pg_snapshot. */
extern void cursor_init(MemoryContext parent, const char *stored);

/*
 * Reading.  cursor_begin() starts a generation that ends with snapshot, and
 * cursor_end() says that it has been read to its end.
 */
extern Generation *cursor_begin(const char *snapshot);
extern Generation *cursor_reading(void);	/* NULL: between generations */
extern void cursor_end(void);

/* The two ends of the generation that is being read, and the place in it. */
extern const char *cursor_seen(void);
extern const char *cursor_now(void);
extern uint64 cursor_after_xid;
extern int64 cursor_after_id;

/* A message was found at this place. */
extern void cursor_advance(uint64 xid, int64 id);

/* True until everything that was there when the worker started is read. */
extern bool cursor_recovering(void);

/* A message of the generation is in flight; it has its row. */
extern void generation_add(Generation *generation);
extern void generation_done(Generation *generation);

/* A snapshot worth storing, or NULL; cursor_stored() after the commit. */
extern const char *cursor_storable(void);
extern void cursor_stored(void);

#endif							/* IMP_CURSOR_H */
