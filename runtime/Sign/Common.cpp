// Keys and hashes, by libcrypto.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Sign/Common.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace lathe::sign {

namespace {

struct FreeBio {
  void operator()(BIO *bio) const { BIO_free(bio); }
};
struct FreeHash {
  void operator()(EVP_MD_CTX *context) const { EVP_MD_CTX_free(context); }
};

// An encrypted key is refused: nobody is asked for a password.
int noPassword(char *, int, int, void *) { return -1; }

template <typename Read> Key readKey(const std::string &pem, Read read) {
  std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(pem.data(), int(pem.size())));
  Key key(bio ? read(bio.get(), nullptr, noPassword, nullptr) : nullptr);
  ERR_clear_error(); // what the application may read there is not ours
  if (key && EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
    key.reset();
  return key;
}

} // namespace

int32_t succeed(lathe_status *status) {
  if (status) {
    *status = lathe_status();
    status->site = UINT32_MAX;
  }
  return LATHE_STATUS_OK;
}

int32_t fail(lathe_status *status, int32_t code, const std::string &message) {
  succeed(status);
  if (status) {
    status->code = code;
    snprintf(status->message, sizeof(status->message), "%s", message.c_str());
  }
  return code;
}

Key readSecretKey(const std::string &pem) { return readKey(pem, PEM_read_bio_PrivateKey); }
Key readPublicKey(const std::string &pem) { return readKey(pem, PEM_read_bio_PUBKEY); }

int32_t readFile(const char *path, std::string &text, lathe_status *status) {
  FILE *file = fopen(path, "rbe");
  bool ok = file != nullptr;
  char piece[4096];
  while (ok && !feof(file)) {
    text.append(piece, fread(piece, 1, sizeof(piece), file));
    ok = !ferror(file);
  }
  int error = errno;
  if (file)
    fclose(file);
  return ok ? int32_t(LATHE_STATUS_OK)
            : fail(status, LATHE_STATUS_IO,
                   std::string(path) + ": cannot read: " + strerrordesc_np(error));
}

bool hashPieces(const lathe_bytes *pieces, uint32_t count, uint8_t (&hash)[32]) {
  std::unique_ptr<EVP_MD_CTX, FreeHash> context(EVP_MD_CTX_new());
  bool ok = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  for (uint32_t i = 0; ok && i < count; ++i)
    ok = EVP_DigestUpdate(context.get(), &pieces[i].bytes, sizeof(pieces[i].bytes)) &&
         EVP_DigestUpdate(context.get(), pieces[i].data, pieces[i].bytes);
  return ok && EVP_DigestFinal_ex(context.get(), hash, nullptr);
}

} // namespace lathe::sign
