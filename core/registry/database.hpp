// The registry's SQLite file: opening, migrating, transactions, and errors in words. Internal to
// core/registry; SQLiteCpp's exceptions end here.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "core/base/error.hpp"
#include "core/base/home.hpp"
#include "core/secrets/seal.hpp"

namespace hyperdrive::core {

/// What this program writes; a file with a higher `user_version` is refused.
inline constexpr int kSchemaVersion = 1;

class Database {
 public:
  static Result<std::unique_ptr<Database>> open(const Home& home);

  const Home& home() const { return home_; }
  SQLite::Database& sqlite() { return *sqlite_; }

  /// The sealing key, read once; `sealer` makes a missing one, `existing_sealer` does not.
  Result<const Sealer*> sealer();
  Result<const Sealer*> existing_sealer();

  /// Runs `work` (returning a Result) and turns SQLite's exceptions into an Error.
  template <class Work>
  auto guarded(Work&& work) -> std::invoke_result_t<Work>;

  /// `guarded`, within BEGIN IMMEDIATE … COMMIT; an error rolls back. A nested call joins the
  /// transaction that is open.
  template <class Work>
  auto atomically(Work&& work) -> std::invoke_result_t<Work>;

 private:
  Database(Home home, std::unique_ptr<SQLite::Database> sqlite)
      : home_(std::move(home)), sqlite_(std::move(sqlite)) {}
  Error describe(const SQLite::Exception& exception) const;
  void roll_back() noexcept;

  Home home_;
  std::unique_ptr<SQLite::Database> sqlite_;
  std::optional<Sealer> sealer_;
  int depth_ = 0;
};

template <class Work>
auto Database::guarded(Work&& work) -> std::invoke_result_t<Work> {
  try {
    return work();
  } catch (const SQLite::Exception& exception) {
    return tl::unexpected(describe(exception));
  }
}

template <class Work>
auto Database::atomically(Work&& work) -> std::invoke_result_t<Work> {
  if (depth_ > 0) return guarded(work);
  auto result = guarded([&]() -> std::invoke_result_t<Work> {
    sqlite_->exec("BEGIN IMMEDIATE");
    ++depth_;
    auto done = guarded(work);
    --depth_;
    if (done) sqlite_->exec("COMMIT");
    return done;
  });
  if (!result) roll_back();
  return result;
}

}  // namespace hyperdrive::core
