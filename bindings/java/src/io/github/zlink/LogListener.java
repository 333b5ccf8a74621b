// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

/** Gets the lines of the log: Context.setLog. */
@FunctionalInterface
public interface LogListener {
    /** One line, without its end. What this throws goes to the thread's handler of uncaught exceptions. */
    void line(LogLevel level, String line);
}
