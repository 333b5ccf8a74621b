// SPDX-License-Identifier: MPL-2.0

// Package doc holds the tests of the documents: what a page says and a program
// can check is checked. It needs the library of ./build.sh lib and, for the
// table of rules, the logs of a test run.
package doc
