/* SPDX-License-Identifier: MPL-2.0 */
#include "histogram.h"

#include <math.h>

static unsigned bucket_of (uint64_t value)
{
    if (value < HISTOGRAM_SUB_BUCKETS)
        return (unsigned) value;
    if (value >> HISTOGRAM_MAX_BITS)
        value = (UINT64_C (1) << HISTOGRAM_MAX_BITS) - 1;
    unsigned top_bit = 63u - (unsigned) __builtin_clzll (value);
    unsigned shift = top_bit - HISTOGRAM_SUB_BITS;
    /* value >> shift has its top bit set, which selects the row after the
     * linear one when shift is 0, the next one when it is 1, … */
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned) (value >> shift);
}

/* The middle of a bucket. */
static double value_of (unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_SUB_BUCKETS)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t low = (uint64_t) (bucket - (shift << HISTOGRAM_SUB_BITS)) << shift;
    return (double) low + (double) (UINT64_C (1) << shift) / 2;
}

void histogram_record (struct histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of (value)]++;
    histogram->total++;
    if (value > histogram->max)
        histogram->max = value;
}

double histogram_percentile (const struct histogram *histogram, double percent)
{
    uint64_t rank = (uint64_t) ceil ((double) histogram->total * percent / 100);
    if (rank == 0)
        return 0;
    uint64_t seen = 0;
    unsigned bucket = 0;
    for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
        seen += histogram->counts[bucket];
        if (seen >= rank)
            break;
    }
    return fmin (value_of (bucket), (double) histogram->max);
}
