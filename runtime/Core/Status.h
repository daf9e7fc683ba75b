// Filling the caller's lathe_status.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_STATUS_H
#define LATHE_RUNTIME_CORE_STATUS_H

#include "lathe-c/Runtime.h"

namespace lathe::runtime {

/// Clears `status` (may be null) and returns LATHE_STATUS_OK.
int32_t succeed(lathe_status *status);

/// Fills `status` (may be null) and returns `code`.
[[gnu::format(printf, 3, 4)]] int32_t fail(lathe_status *status, int32_t code, const char *format,
                                           ...);

/// Text of bounded length in place, cut where it does not fit.
class TextBuilder {
public:
  TextBuilder(char *text, size_t capacity) : text(text), capacity(capacity) {
    if (capacity)
      text[0] = 0;
  }
  [[gnu::format(printf, 2, 3)]] void add(const char *format, ...);
  /// Length of the whole text, also of what was cut.
  size_t length() const { return used; }

private:
  char *text;
  size_t capacity;
  size_t used = 0;
};

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_STATUS_H
