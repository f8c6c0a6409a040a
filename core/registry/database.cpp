#include "core/registry/database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/file.hpp"

namespace hyperdrive::core {
namespace {

constexpr int kBusyTimeoutMs = 15'000;

// Secrets are columns of their own, so that no path that prints or lists touches them. Ports and
// remote ids are looked up by index. `settings` is the JSON of local settings off their defaults.
constexpr const char* kSchema1 = R"sql(
CREATE TABLE configs (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  scheme TEXT NOT NULL,
  scheme_text TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  database TEXT NOT NULL,
  user TEXT NOT NULL,
  service_id TEXT NOT NULL,
  access_client_id TEXT NOT NULL,
  application_name TEXT NOT NULL,
  sslmode TEXT NOT NULL,
  ca_certificate_id TEXT NOT NULL,
  mtls_certificate_id TEXT NOT NULL,
  caching_disabled INTEGER NOT NULL,
  max_age INTEGER,
  stale_while_revalidate INTEGER,
  origin_connection_limit INTEGER NOT NULL,
  created_on TEXT NOT NULL,
  modified_on TEXT NOT NULL,
  remote_id TEXT NOT NULL,
  pushed_on TEXT NOT NULL DEFAULT '',
  local_port INTEGER NOT NULL UNIQUE,
  local_user TEXT NOT NULL,
  settings TEXT NOT NULL,
  password BLOB,
  access_client_secret BLOB,
  local_password BLOB,
  cache_password BLOB
) STRICT;
CREATE INDEX configs_remote_id ON configs(remote_id) WHERE remote_id <> '';
CREATE INDEX configs_ca ON configs(ca_certificate_id) WHERE ca_certificate_id <> '';
CREATE INDEX configs_mtls ON configs(mtls_certificate_id) WHERE mtls_certificate_id <> '';
CREATE TABLE certificates (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  ca INTEGER NOT NULL,
  pem TEXT NOT NULL,
  key_pem BLOB,
  issuer TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  signature TEXT NOT NULL,
  expires_on TEXT NOT NULL,
  uploaded_on TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;
)sql";

Error newer(const Home& home, int version) {
  return Error{
      fmt::format("{} was written by a newer version of hyperdrive (its version is {}, this "
                  "program knows {}).",
                  home.registry().string(), version, kSchemaVersion),
      "Update hyperdrive, or set HYPERDRIVE_HOME to another folder. The file was not touched.",
      code::kNone, Exit::kError};
}

Error corrupt(const Home& home) {
  return Error{
      fmt::format("{} is damaged: it is not a readable SQLite database.", home.registry().string()),
      "It was left as it is. Restore it from a backup, or move it away and create the "
      "configs anew.",
      code::kNone, Exit::kError};
}

/// Looks at the file's header before SQLite does, so that a foreign file is not even locked.
/// https://www.sqlite.org/fileformat.html: magic at 0, user_version at 60, big-endian.
Result<void> check_header(const Home& home) {
  Descriptor file(::open(home.registry().c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  unsigned char header[64];
  const ssize_t got = ::pread(file.get(), header, sizeof header, 0);
  if (got == 0) return {};
  if (got < static_cast<ssize_t>(sizeof header) || std::memcmp(header, "SQLite format 3", 16) != 0)
    return tl::unexpected(corrupt(home));
  const int version = header[60] << 24 | header[61] << 16 | header[62] << 8 | header[63];
  if (version > kSchemaVersion) return tl::unexpected(newer(home, version));
  return {};
}

/// SQLite would make the file with the umask's mode; its -wal and -shm take the mode of this one.
Result<void> make_file(const Home& home) {
  Descriptor file(::open(home.registry().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file) return {};
  const int error = errno;
  return fail(fmt::format("The registry {} cannot be opened for writing: {}.",
                          home.registry().string(), errno_text(error)),
              error == ENOSPC
                  ? "Free some disk space."
                  : "Give yourself write access, or set HYPERDRIVE_HOME to another folder.");
}

int version_of(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

/// One process at a time: changing the journal mode does not wait for others.
void migrate(SQLite::Database& database, const Home& home) {
  Descriptor folder(::open(home.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::flock(folder.get(), LOCK_EX);
  if (version_of(database) != 0) return;
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("BEGIN IMMEDIATE");
  database.exec(kSchema1);
  database.exec("COMMIT");
}

std::unique_ptr<SQLite::Database> open_writable(const Home& home) {
  auto database = std::make_unique<SQLite::Database>(
      home.registry().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX, kBusyTimeoutMs);
  if (version_of(*database) == 0) migrate(*database, home);
  // What a command has acknowledged survives a power failure too. The page cache (KiB) holds the
  // registry of 10 000 configs, which `doctor` goes through more than once.
  database->exec(
      "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; "
      "PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384");
  return database;
}

/// A registry in a folder that cannot be written: readable as long as no log waits beside it.
std::unique_ptr<SQLite::Database> open_read_only(const Home& home) {
  struct stat log;
  const std::string wal = home.registry().string() + "-wal";
  const bool waiting = ::stat(wal.c_str(), &log) == 0 && log.st_size > 0;
  std::string path;
  for (const char c : home.registry().string())
    path += c == '?' || c == '#' || c == '%' ? fmt::format("%{:02X}", c) : std::string(1, c);
  return std::make_unique<SQLite::Database>(
      fmt::format("file:{}?mode=ro{}", path, waiting ? "" : "&immutable=1"),
      SQLite::OPEN_READONLY | SQLite::OPEN_URI | SQLite::OPEN_NOMUTEX, kBusyTimeoutMs);
}

/// Less than what SQLite needs for its -shm and the first page of its log.
bool disk_full(const Home& home) {
  struct statvfs disk {};
  constexpr unsigned long kNeeded = 64 << 10;
  return ::statvfs(home.folder.c_str(), &disk) == 0 && disk.f_bavail * disk.f_frsize < kNeeded;
}

bool writable(const Home& home) {
  return ::access(home.registry().c_str(), W_OK) == 0 && ::access(home.folder.c_str(), W_OK) == 0;
}

/// Reading needs no room, unless a log waits beside the file.
std::unique_ptr<SQLite::Database> open_file(const Home& home, bool exists) {
  if (exists && !writable(home)) return open_read_only(home);
  try {
    return open_writable(home);
  } catch (const SQLite::Exception&) {
    if (!exists || !disk_full(home)) throw;
    return open_read_only(home);
  }
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const Home& home) {
  const bool exists = ::access(home.registry().c_str(), F_OK) == 0;
  if (!exists) {
    if (auto folder = ensure_folder(home.folder); !folder) return tl::unexpected(folder.error());
    if (auto file = make_file(home); !file) return tl::unexpected(file.error());
  }
  if (auto header = check_header(home); !header) return tl::unexpected(header.error());
  std::unique_ptr<Database> database(new Database(home, nullptr));
  using Opened = Result<std::unique_ptr<Database>>;
  return database->guarded([&]() -> Opened {
    database->sqlite_ = open_file(home, exists);
    const int version = version_of(*database->sqlite_);
    if (version > kSchemaVersion) return tl::unexpected(newer(home, version));
    return std::move(database);
  });
}

void Database::roll_back() noexcept {
  if (!sqlite_ || sqlite3_get_autocommit(sqlite_->getHandle())) return;
  sqlite3_exec(sqlite_->getHandle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

Error Database::describe(const SQLite::Exception& exception) const {
  const std::string path = home_.registry().string();
  const auto error = [](std::string message, std::string hint) {
    return Error{std::move(message), std::move(hint), code::kNone, Exit::kError};
  };
  int cause = exception.getErrorCode() & 0xff;
  const bool io = cause == SQLITE_IOERR || cause == SQLITE_READONLY || cause == SQLITE_CANTOPEN;
  if (io && disk_full(home_)) cause = SQLITE_FULL;
  switch (cause) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return error(fmt::format("The registry {} is held by another process.", path),
                   "Nothing was changed; try again.");
    case SQLITE_FULL:
      return error(fmt::format("The disk with the registry {} is full.", path),
                   "Nothing was changed. Free some space and run the command again.");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return error(fmt::format("The registry {} cannot be written.", path),
                   "Nothing was changed. Give yourself write access to the file and its folder, or "
                   "set HYPERDRIVE_HOME to another folder.");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return corrupt(home_);
    default:
      return error(
          fmt::format("The registry {} cannot be used: {}.", path, exception.getErrorStr()),
          "Nothing was changed.");
  }
}

Result<const Sealer*> Database::sealer() {
  if (!sealer_) {
    auto opened = Sealer::open_or_create(home_);
    if (!opened) return tl::unexpected(opened.error());
    sealer_ = std::move(*opened);
  }
  return &*sealer_;
}

Result<const Sealer*> Database::existing_sealer() {
  if (!sealer_) {
    auto opened = Sealer::open(home_);
    if (!opened) return tl::unexpected(opened.error());
    sealer_ = std::move(*opened);
  }
  return &*sealer_;
}

}  // namespace hyperdrive::core
