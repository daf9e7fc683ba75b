// What signing and checking share: statuses, keys, hashes.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_SIGN_COMMON_H
#define LATHE_RUNTIME_SIGN_COMMON_H

#include "lathe-c/Sign.h"

#include <memory>
#include <openssl/evp.h>
#include <string>

namespace lathe::sign {

/// Fills `status` (may be null) and returns `code`.
int32_t fail(lathe_status *status, int32_t code, const std::string &message);
int32_t succeed(lathe_status *status);

struct FreeKey {
  void operator()(EVP_PKEY *key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

/// The key in a PEM text; null where it is none, or not of Ed25519.
Key readSecretKey(const std::string &pem);
Key readPublicKey(const std::string &pem);

/// Reads a whole file. IO.
int32_t readFile(const char *path, std::string &text, lathe_status *status);

/// SHA-256 of a list of pieces, as lathe_signature describes it. False where libcrypto fails.
bool hashPieces(const lathe_bytes *pieces, uint32_t count, uint8_t (&hash)[32]);

/// The bytes of a lathe_signature that its signature covers.
constexpr size_t signedBytes = offsetof(lathe_signature, signature);

} // namespace lathe::sign

#endif // LATHE_RUNTIME_SIGN_COMMON_H
