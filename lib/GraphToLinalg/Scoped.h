// Maps and sets whose changes inside a region are undone when it is left.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_SCOPED_H
#define LATHE_LIB_GRAPHTOLINALG_SCOPED_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallVector.h"

namespace lathe::g2l {

/// A map that forgets, on `rollBack`, the keys added since `mark`. The cost is that of what is
/// forgotten.
template <typename Key, typename Value> class ScopedMap {
public:
  Value &operator[](const Key &key) {
    auto [it, inserted] = map.try_emplace(key);
    if (inserted)
      added.push_back(key);
    return it->second;
  }
  void addIfAbsent(const Key &key, const Value &value) {
    if (map.try_emplace(key, value).second)
      added.push_back(key);
  }
  auto find(const Key &key) { return map.find(key); }
  auto end() { return map.end(); }
  bool contains(const Key &key) const { return map.contains(key); }

  size_t mark() const { return added.size(); }
  void rollBack(size_t mark) {
    while (added.size() > mark)
      map.erase(added.pop_back_val());
  }

private:
  llvm::DenseMap<Key, Value> map;
  llvm::SmallVector<Key> added;
};

/// The same for a set; what was erased comes back.
template <typename Key> class ScopedSet {
public:
  /// Whether the key is new.
  bool insert(const Key &key) {
    bool isNew = set.insert(key).second;
    if (isNew)
      changes.push_back({key, true});
    return isNew;
  }
  void erase(const Key &key) {
    if (set.erase(key))
      changes.push_back({key, false});
  }
  bool contains(const Key &key) const { return set.contains(key); }

  size_t mark() const { return changes.size(); }
  void rollBack(size_t mark) {
    while (changes.size() > mark) {
      auto [key, inserted] = changes.pop_back_val();
      if (inserted)
        set.erase(key);
      else
        set.insert(key);
    }
  }

private:
  llvm::DenseSet<Key> set;
  llvm::SmallVector<std::pair<Key, bool>> changes;
};

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_SCOPED_H
