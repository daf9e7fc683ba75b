/* Signed artifacts: who made a file, and a policy that lets a program load those of people that it
 * trusts alone. In a library of its own, liblathe-sign, which needs libcrypto; liblathe does not.
 * C11; ownership, errors and status are those of Runtime.h. Apache-2.0 WITH LLVM-exception.
 *
 * Keys are Ed25519, in PEM files as openssl writes them:
 *
 *   openssl genpkey -algorithm ed25519 -out key.pem       the secret one, for lathe sign
 *   openssl pkey -in key.pem -pubout -out key.pub         the public one, for programs
 *
 * A signature covers every byte of the artifact but the digests, which follow from the rest. It is
 * a section of the file, so a signed artifact is one file still, and loads anywhere. */
#ifndef LATHE_C_SIGN_H
#define LATHE_C_SIGN_H

#include "lathe-c/Runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The contents of section ".lathe.signature". */
#define LATHE_SIGNATURE_MAGIC UINT64_C(0x6e6769736874616c) /* "lathsign" */
#define LATHE_SIGNATURE_VERSION 1u

/* A SHA-256 here is over a list of pieces: for each its length as 8 bytes, little endian, then its
 * bytes; the lists are those of lathe_unverified. */
typedef struct lathe_signature {
  uint64_t magic;
  uint32_t version;
  uint32_t reserved;
  uint8_t loaded[32];     /* SHA-256 of what loading reads */
  uint8_t deferred[32];   /* SHA-256 of weights and debug sections */
  uint8_t public_key[32]; /* Ed25519 */
  uint8_t signature[64];  /* Ed25519, of all fields before */
} lathe_signature;

/* Signs the artifact at `from` with the secret key in the PEM file `key`, and writes the result to
 * `to`, which may be the same path: the file appears complete or not at all, by rename. A signature
 * that is there is replaced. Any thread.
 * Failure: as lathe_module_open and lathe_module_verify, which both are done first; ARGUMENT where
 * the key is none; IO. */
LATHE_API int32_t lathe_sign_file(const char *from, const char *to, const char *key,
                                  lathe_status *status);

/* The public keys that a program trusts. Filled by one thread, then used by any. */
typedef struct lathe_trust lathe_trust;

/* Bits of what lathe_trust_create takes. */
enum lathe_trust_flags {
  /* Weights and debug sections are not looked at when loading, whose time then does not depend on
   * them: altered weights stay unnoticed. Without it all of the file is hashed. */
  LATHE_TRUST_LOADED_ONLY = 1
};

/* Without keys it trusts nobody. The caller destroys it, after all that it is used for. */
LATHE_API int32_t lathe_trust_create(uint32_t flags, lathe_trust **trust, lathe_status *status);
LATHE_API void lathe_trust_destroy(lathe_trust *trust);

/* Adds a public key: a PEM file, or its text. ARGUMENT where it is no Ed25519 key. */
LATHE_API int32_t lathe_trust_add_file(lathe_trust *trust, const char *path, lathe_status *status);
LATHE_API int32_t lathe_trust_add_pem(lathe_trust *trust, const char *pem, uint64_t bytes,
                                      lathe_status *status);

/* For lathe_module_options.verifier; borrows `trust`. */
LATHE_API lathe_verifier lathe_trust_verifier(const lathe_trust *trust);

#ifdef __cplusplus
}
#endif

#endif /* LATHE_C_SIGN_H */
