// Signatures: what is signed is trusted, what is altered, signed by others or not at all is not.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Sign.h"
#include "TestArtifact.h"

#include <cstring>
#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <random>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

// A new key pair, as PEM texts in files.
struct Keys {
  explicit Keys(const char *algorithm = "ED25519") {
    EVP_PKEY *key = EVP_PKEY_Q_keygen(nullptr, nullptr, algorithm);
    EXPECT_NE(key, nullptr);
    FILE *file = fopen(secret.path(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    fclose(file);
    file = fopen(open.path(), "w");
    PEM_write_PUBKEY(file, key);
    fclose(file);
    EVP_PKEY_free(key);
  }
  TemporaryFile secret{Bytes()}, open{Bytes()};
};

struct Trust {
  explicit Trust(std::vector<const char *> keys, uint32_t flags = 0) {
    lathe_status status;
    EXPECT_EQ(lathe_trust_create(flags, &trust, &status), LATHE_STATUS_OK) << status.message;
    for (const char *key : keys)
      EXPECT_EQ(lathe_trust_add_file(trust, key, &status), LATHE_STATUS_OK) << status.message;
    options.verifier = lathe_trust_verifier(trust);
  }
  ~Trust() { lathe_trust_destroy(trust); }
  lathe_trust *trust = nullptr;
  lathe_module_options options = moduleOptions();
};

struct Sign : testing::Test {
  static Keys &keys() {
    static Keys pair;
    return pair;
  }
  static Bytes sign(const Bytes &artifact, const Keys &with = keys()) {
    TemporaryFile file(artifact);
    lathe_status status;
    EXPECT_EQ(lathe_sign_file(file.path(), file.path(), with.secret.path(), &status),
              LATHE_STATUS_OK)
        << status.message;
    return readModel(file.path());
  }
  static const Bytes &signedArtifact() {
    static const Bytes bytes = sign(makeArtifact());
    return bytes;
  }
  Trust trust{{keys().open.path()}};

  void refuse(const Bytes &bytes, const Trust &policy, const char *message) {
    OpenResult result = openBytes(bytes, &policy.options);
    EXPECT_EQ(result.module, nullptr);
    EXPECT_EQ(result.status.code, LATHE_STATUS_UNTRUSTED) << result.status.message;
    EXPECT_THAT(result.status.message, HasSubstr(message));
  }
};

TEST_F(Sign, WhatIsSignedIsTrusted) {
  OpenResult result = openBytes(signedArtifact(), &trust.options);
  ASSERT_NE(result.module, nullptr) << result.status.message;
  EXPECT_EQ(lathe_module_verify(result.module.get(), nullptr), LATHE_STATUS_OK);
  ContextPtr context = makeContext(result.module.get());
  // From a file, too, and among several keys.
  Keys other;
  Trust both({other.open.path(), keys().open.path()});
  TemporaryFile file(signedArtifact());
  lathe_module *module = nullptr;
  EXPECT_EQ(lathe_module_open(file.path(), &both.options, &module, &result.status), LATHE_STATUS_OK)
      << result.status.message;
  lathe_module_close(module);
  // Who has no policy loads it as well.
  EXPECT_NE(openBytes(signedArtifact()).module, nullptr);
}

TEST_F(Sign, WhatIsNotSignedIsRefused) {
  refuse(makeArtifact(), trust, "it is not signed");
  TemporaryFile file(makeArtifact());
  lathe_module *module = nullptr;
  EXPECT_EQ(lathe_module_open(file.path(), &trust.options, &module, nullptr),
            LATHE_STATUS_UNTRUSTED);
}

TEST_F(Sign, AnotherSignerIsRefused) {
  Keys other;
  refuse(signedArtifact(), Trust({other.open.path()}), "which is not trusted");
  refuse(signedArtifact(), Trust({}), "which is not trusted");
  lathe_module_options options = moduleOptions();
  options.verifier = lathe_trust_verifier(nullptr);
  EXPECT_EQ(openBytes(signedArtifact(), &options).status.code, LATHE_STATUS_UNTRUSTED);
  // A signature by another key under the trusted one's name.
  Bytes bytes = sign(makeArtifact(), other);
  const Elf64_Shdr &section = findSection(bytes, LATHE_SECTION_SIGNATURE);
  auto *signature = reinterpret_cast<lathe_signature *>(bytes.data() + section.sh_offset);
  Bytes good = signedArtifact();
  const auto *trusted = reinterpret_cast<const lathe_signature *>(
      good.data() + findSection(good, LATHE_SECTION_SIGNATURE).sh_offset);
  memcpy(signature->public_key, trusted->public_key, sizeof(signature->public_key));
  ASSERT_TRUE(reseal(bytes));
  refuse(bytes, trust, "its signature is wrong");
}

// Whoever alters a file can make its digests right again, but not its signature.
TEST_F(Sign, WhatIsAlteredIsRefused) {
  Bytes bytes = signedArtifact();
  bytes[findSection(bytes, ".text").sh_offset + 5] ^= 1;
  ASSERT_TRUE(reseal(bytes));
  EXPECT_NE(openBytes(bytes).module, nullptr);
  refuse(bytes, trust, "it was altered after it was signed");

  bytes = signedArtifact();
  bytes[findSection(bytes, LATHE_SECTION_WEIGHTS).sh_offset + 5] ^= 1;
  ASSERT_TRUE(reseal(bytes));
  refuse(bytes, trust, "its weights were altered");
  Trust loadedOnly({keys().open.path()}, LATHE_TRUST_LOADED_ONLY);
  EXPECT_NE(openBytes(bytes, &loadedOnly.options).module, nullptr);

  std::mt19937 random(4);
  const Bytes &whole = signedArtifact();
  bytes = whole;
  Elf64_Shdr digests = findSection(bytes, LATHE_SECTION_DIGESTS);
  int resealed = 0;
  for (int i = 0; i < 3000; ++i) {
    bytes = whole;
    size_t at = random() % bytes.size();
    bytes[at] ^= 1 << random() % 8;
    if (at - digests.sh_offset < digests.sh_size || !reseal(bytes) || bytes == whole)
      continue;
    ++resealed;
    EXPECT_EQ(openBytes(bytes, &trust.options).module, nullptr) << "byte " << at;
  }
  EXPECT_GT(resealed, 2000);
}

TEST_F(Sign, SigningAgainReplacesTheSignature) {
  Keys other;
  Bytes again = sign(signedArtifact(), other);
  EXPECT_EQ(again.size(), signedArtifact().size());
  refuse(again, trust, "which is not trusted");
  Trust others({other.open.path()});
  EXPECT_NE(openBytes(again, &others.options).module, nullptr);
  // The same key gives the same bytes: Ed25519 has no chance in it.
  EXPECT_EQ(sign(again), signedArtifact());
}

TEST_F(Sign, BadCallsAreRefused) {
  lathe_status status;
  TemporaryFile artifact(makeArtifact()), none(Bytes(100, 'x'));
  Bytes before = readModel(artifact.path());
  auto sign = [&](const char *from, const char *key) {
    return lathe_sign_file(from, from, key, &status);
  };
  EXPECT_EQ(sign(nullptr, keys().secret.path()), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(sign(artifact.path(), keys().open.path()), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("no secret Ed25519 key"));
  EXPECT_EQ(sign(artifact.path(), Keys("ED448").secret.path()), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(sign(artifact.path(), "/does/not/exist"), LATHE_STATUS_IO);
  EXPECT_EQ(sign(none.path(), keys().secret.path()), LATHE_STATUS_NOT_ARTIFACT);
  EXPECT_EQ(lathe_sign_file(artifact.path(), "/does/not/exist", keys().secret.path(), &status),
            LATHE_STATUS_IO);
  Bytes damaged = makeArtifact();
  damaged[findSection(damaged, LATHE_SECTION_WEIGHTS).sh_offset] ^= 1;
  TemporaryFile altered(damaged);
  EXPECT_EQ(sign(altered.path(), keys().secret.path()), LATHE_STATUS_ALTERED);
  EXPECT_EQ(readModel(artifact.path()), before);

  EXPECT_EQ(lathe_trust_create(1u << 9, &trust.trust, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_trust_create(0, nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_trust_add_file(trust.trust, keys().secret.path(), &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_trust_add_pem(trust.trust, "x", 1, nullptr), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_trust_add_pem(trust.trust, nullptr, 0, nullptr), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_trust_add_file(nullptr, "x", nullptr), LATHE_STATUS_ARGUMENT);
  lathe_trust_destroy(nullptr);
}

// Any policy may stand in the place of ours, and sees every byte that will be used.
TEST_F(Sign, AnyPolicyIsAsked) {
  struct Seen {
    uint64_t loaded = 0, deferred = 0;
    bool refuses = true;
  } seen;
  lathe_module_options options = moduleOptions();
  options.verifier = {
      &seen,
      [](void *user, const lathe_unverified *artifact, char *reason, uint64_t capacity) -> int32_t {
        auto &seen = *static_cast<Seen *>(user);
        EXPECT_STREQ(artifact->name, "test.lathe");
        EXPECT_EQ(artifact->signature, nullptr);
        for (uint32_t i = 0; i < artifact->loaded_count; ++i)
          seen.loaded += artifact->loaded[i].bytes;
        for (uint32_t i = 0; i < artifact->deferred_count; ++i)
          seen.deferred += artifact->deferred[i].bytes;
        snprintf(reason, capacity, "not on a Friday");
        return seen.refuses;
      }};
  OpenResult result = openBytes(makeArtifact(), &options);
  EXPECT_EQ(result.status.code, LATHE_STATUS_UNTRUSTED);
  EXPECT_STREQ(result.status.message,
               "test.lathe: refused by the caller's policy: not on a Friday");
  EXPECT_EQ(seen.deferred, 576u);
  EXPECT_GT(seen.loaded, 4096u);
  seen.refuses = false;
  EXPECT_NE(openBytes(makeArtifact(), &options).module, nullptr);
}

} // namespace
