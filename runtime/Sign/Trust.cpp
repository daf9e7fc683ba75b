// The policy: artifacts of trusted signers alone.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Sign/Common.h"

#include <cstring>
#include <new>
#include <vector>

using namespace lathe::sign;

struct lathe_trust {
  uint32_t flags = 0;
  struct Trusted {
    uint8_t bytes[32];
    Key key;
  };
  std::vector<Trusted> keys;
};

namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX *context) const { EVP_MD_CTX_free(context); }
};

bool isSignedBy(const lathe_signature &signature, EVP_PKEY *key) {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature.signature, sizeof(signature.signature),
                          reinterpret_cast<const uint8_t *>(&signature), signedBytes) == 1;
}

std::string fingerprint(const uint8_t (&key)[32]) {
  char text[2 * sizeof(key) + 1];
  for (size_t i = 0; i < sizeof(key); ++i)
    snprintf(text + 2 * i, 3, "%02x", key[i]);
  return text;
}

bool hasHash(const lathe_bytes *pieces, uint32_t count, const uint8_t (&wanted)[32]) {
  uint8_t hash[32];
  return hashPieces(pieces, count, hash) && !memcmp(hash, wanted, sizeof(hash));
}

// Why an artifact is not trusted; empty where it is.
std::string judge(const lathe_trust &trust, const lathe_unverified &artifact) {
  lathe_signature signature;
  if (!artifact.signature)
    return "it is not signed; `lathe sign` signs it";
  if (artifact.signature_bytes != sizeof(signature))
    return "its signature has a wrong size";
  memcpy(&signature, artifact.signature, sizeof(signature));
  if (signature.magic != LATHE_SIGNATURE_MAGIC || signature.version != LATHE_SIGNATURE_VERSION)
    return "its signature has another format; sign it again";
  const lathe_trust::Trusted *signer = nullptr;
  for (const lathe_trust::Trusted &trusted : trust.keys)
    if (!memcmp(trusted.bytes, signature.public_key, sizeof(trusted.bytes)))
      signer = &trusted;
  if (!signer)
    return "it is signed with key " + fingerprint(signature.public_key) + ", which is not trusted";
  if (!isSignedBy(signature, signer->key.get()))
    return "its signature is wrong";
  if (!hasHash(artifact.loaded, artifact.loaded_count, signature.loaded))
    return "it was altered after it was signed";
  if (!(trust.flags & LATHE_TRUST_LOADED_ONLY) &&
      !hasHash(artifact.deferred, artifact.deferred_count, signature.deferred))
    return "its weights were altered after it was signed";
  return {};
}

int32_t verify(void *user, const lathe_unverified *artifact, char *reason, uint64_t capacity) {
  try {
    std::string why = user ? judge(*static_cast<const lathe_trust *>(user), *artifact)
                           : "no trusted keys are given";
    snprintf(reason, capacity, "%s", why.c_str());
    return !why.empty();
  } catch (const std::bad_alloc &) {
    snprintf(reason, capacity, "out of memory");
    return 1;
  }
}

} // namespace

int32_t lathe_trust_create(uint32_t flags, lathe_trust **trust, lathe_status *status) {
  if (!trust)
    return fail(status, LATHE_STATUS_ARGUMENT, "trust is NULL");
  if (flags & ~uint32_t(LATHE_TRUST_LOADED_ONLY))
    return fail(status, LATHE_STATUS_ARGUMENT, "flags has unknown flags");
  auto *result = new (std::nothrow) lathe_trust;
  if (!result)
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  result->flags = flags;
  *trust = result;
  return succeed(status);
}

void lathe_trust_destroy(lathe_trust *trust) { delete trust; }

int32_t lathe_trust_add_pem(lathe_trust *trust, const char *pem, uint64_t bytes,
                            lathe_status *status) try {
  if (!trust || !pem)
    return fail(status, LATHE_STATUS_ARGUMENT, trust ? "pem is NULL" : "trust is NULL");
  if (bytes > INT32_MAX)
    return fail(status, LATHE_STATUS_ARGUMENT, "the key is too long");
  lathe_trust::Trusted trusted;
  trusted.key = readPublicKey(std::string(pem, bytes));
  size_t size = sizeof(trusted.bytes);
  if (!trusted.key || !EVP_PKEY_get_raw_public_key(trusted.key.get(), trusted.bytes, &size))
    return fail(status, LATHE_STATUS_ARGUMENT,
                "no public Ed25519 key; `openssl pkey -in key.pem -pubout` writes one");
  trust->keys.push_back(std::move(trusted));
  return succeed(status);
} catch (const std::bad_alloc &) {
  return fail(status, LATHE_STATUS_MEMORY, "out of memory");
}

int32_t lathe_trust_add_file(lathe_trust *trust, const char *path, lathe_status *status) try {
  if (!trust || !path)
    return fail(status, LATHE_STATUS_ARGUMENT, trust ? "path is NULL" : "trust is NULL");
  std::string text;
  if (int32_t code = readFile(path, text, status))
    return code;
  lathe_status inner;
  if (int32_t code = lathe_trust_add_pem(trust, text.data(), text.size(), &inner))
    return fail(status, code, std::string(path) + ": " + inner.message);
  return succeed(status);
} catch (const std::bad_alloc &) {
  return fail(status, LATHE_STATUS_MEMORY, "out of memory");
}

lathe_verifier lathe_trust_verifier(const lathe_trust *trust) {
  return {const_cast<lathe_trust *>(trust), verify};
}
