/*
 * share.h
 *		How much of the worker's room one certificate may take.
 */
#ifndef IMP_SHARE_H
#define IMP_SHARE_H

#include "sender.h"

/* May one more of its pushes be under way? */
extern bool share_is_left(const Sender *sender);

/* May one more be queued?  If not, share_refuse() hands it back, uncharged. */
extern bool share_takes(Sender *sender);
extern void share_refuse(Sender *sender, Push *push, TimestampTz now);

/*
 * Finds out whether it is slow, and hands back what is too much then, or that
 * it has room again.  To be called at share_next_watch() (by lane_clock(); -1:
 * never), and when it has sent something.
 */
extern void share_watch(Sender *sender, TimestampTz now, int64 clock);
extern int64 share_next_watch(const Sender *sender);

/* How many more pushes may be queued, if it is slow. */
extern int	share_room(const Sender *sender);

#endif							/* IMP_SHARE_H */
