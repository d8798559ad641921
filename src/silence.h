/*
 * silence.h
 *		What is done about connections that bring no answer.
 */
#ifndef IMP_SILENCE_H
#define IMP_SILENCE_H

#include "sender.h"

/*
 * For how long an answer may be waited for, going by those before it, but at
 * least so long (microseconds).
 */
extern int64 silence_patience(const Sender *sender, int64 least);

/*
 * Finds out whether its connections are silent, and acts on that.  To be called
 * at silence_next_watch() (by lane_clock(); -1: never), and when an answer has
 * come.
 */
extern void silence_watch(Sender *sender, TimestampTz now, int64 clock);
extern int64 silence_next_watch(Sender *sender, int64 clock);

#endif							/* IMP_SILENCE_H */
