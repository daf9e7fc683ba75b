/* Uses the C API from strict C11: the program is built with -pedantic -Werror, and runs the model.
 * Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(lathe_status) == 1024, "part of the ABI");
_Static_assert(sizeof(lathe_value) == 280, "part of the ABI");

int main(int argc, char **argv) {
  lathe_status status;
  lathe_module *module = NULL;
  if (argc != 2 || !strstr(lathe_version_string(), "."))
    return 2;
  /* A shared object that is no artifact: the error must arrive in C. */
  if (lathe_module_open(argv[1], NULL, &module, &status) != LATHE_STATUS_NOT_ARTIFACT)
    return 1;
  printf("%s: %s\n", lathe_status_name(status.code), status.message);
  return module != NULL;
}
