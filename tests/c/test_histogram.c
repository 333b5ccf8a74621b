/* SPDX-License-Identifier: MPL-2.0 */
/* The histogram of the load clients against percentiles of sorted values. */
#include "ztest.h"

#include "histogram.h"

#include <math.h>

#define VALUES 20000
#define ERROR_OF_VALUE 0.004 /* what histogram.h promises */

static uint64_t values[VALUES];

static int compare (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

/* From 1 to 2^bits, as many in every power of two. */
static void draw_values (unsigned bits)
{
    uint64_t state = 88172645463325252;
    for (size_t i = 0; i < VALUES; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values[i] = UINT64_C (1) + (state >> (64 - 1 - state % bits));
    }
}

static void check_percentiles (void)
{
    static const double percents[] = {0.1, 1, 50, 75, 90, 95, 99, 99.9, 99.99, 100};
    struct histogram *histogram = calloc (1, sizeof *histogram);
    for (size_t i = 0; i < VALUES; i++)
        histogram_record (histogram, values[i]);
    qsort (values, VALUES, sizeof *values, compare);
    CHECK_EQ (histogram->total, VALUES);
    CHECK_EQ (histogram->max, values[VALUES - 1]);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        size_t rank = (size_t) ceil (VALUES * percents[i] / 100);
        double exact = (double) values[rank - 1];
        double slack = exact * ERROR_OF_VALUE;
        CHECK_RANGE (histogram_percentile (histogram, percents[i]), exact - slack, exact + slack);
    }
    free (histogram);
}

static void percentiles_are_those_of_the_values (void)
{
    static const unsigned bits[] = {3, 10, 20, 41};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        draw_values (bits[i]);
        check_percentiles ();
    }
}

static void small_values_are_exact (void)
{
    struct histogram *histogram = calloc (1, sizeof *histogram);
    for (uint64_t value = 1; value <= 200; value++)
        histogram_record (histogram, value);
    CHECK_EQ ((long long) histogram_percentile (histogram, 50), 100);
    CHECK_EQ ((long long) histogram_percentile (histogram, 99), 198);
    free (histogram);
}

static void an_empty_one_has_no_percentile (void)
{
    struct histogram *histogram = calloc (1, sizeof *histogram);
    CHECK_EQ ((long long) histogram_percentile (histogram, 99.9), 0);
    free (histogram);
}

/* Of a value that is too large its rank is kept, and the maximum. */
static void too_large_values_are_the_largest (void)
{
    struct histogram *histogram = calloc (1, sizeof *histogram);
    histogram_record (histogram, 1000);
    histogram_record (histogram, UINT64_MAX);
    CHECK_EQ ((long long) histogram_percentile (histogram, 50) / 10, 100);
    CHECK (histogram_percentile (histogram, 100) > (double) (UINT64_C (1) << 41));
    CHECK (histogram->max == UINT64_MAX);
    free (histogram);
}

static const zt_case_t cases[] = {
  ZT_CASE (percentiles_are_those_of_the_values),
  ZT_CASE (small_values_are_exact),
  ZT_CASE (an_empty_one_has_no_percentile),
  ZT_CASE (too_large_values_are_the_largest),
};

ZT_MAIN (cases)
