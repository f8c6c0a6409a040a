#include "core/registry/registry.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>

#include "core/base/file.hpp"
#include "core/base/time.hpp"
#include "core/config/suggest.hpp"
#include "core/registry/impl.hpp"
#include "core/registry/rows.hpp"
#include "core/secrets/random.hpp"

namespace hyperdrive::core {
namespace {

// Local ports: above what services use by custom, below Linux's ephemeral range (32768).
constexpr int kFirstPort = 15'432;
constexpr int kLastPort = 31'999;
constexpr int kPortTries = 2000;

/// Installations of their own (HYPERDRIVE_HOME) begin elsewhere in the range, so that two of them
/// on one machine rarely choose the same ports.
int first_port(const Home& home) {
  if (home.folder.filename() == "hyperdrive" && home.folder.parent_path().filename() == "share")
    return kFirstPort;
  std::uint64_t hash = 14695981039346656037ull;  // FNV-1a: the same in every run and build
  for (const unsigned char c : home.folder.string()) hash = (hash ^ c) * 1099511628211ull;
  return kFirstPort + static_cast<int>(hash % (kLastPort - kFirstPort + 1));
}

bool can_bind(int port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

bool looks_like_id(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

}  // namespace

// --- Impl ---------------------------------------------------------------------------------------

Result<std::optional<Config>> Registry::Impl::select(const std::string& condition,
                                                     std::string_view value) {
  ConfigRows rows(sqlite(), fmt::format("WHERE {} LIMIT 1", condition));
  rows.bind(value);
  auto config = rows.next();
  if (!config) return tl::unexpected(config.error());
  return *config ? std::optional<Config>(**config) : std::nullopt;
}

Result<std::optional<Config>> Registry::Impl::look_up(std::string_view id_or_name) {
  if (looks_like_id(id_or_name)) {
    auto config = select("id = ?", id_or_name);
    if (!config || *config) return config;
  }
  auto config = select("name = ?", id_or_name);
  if (!config || *config || !looks_like_id(id_or_name)) return config;
  return select("remote_id = ? AND remote_id <> ''", id_or_name);
}

Error Registry::Impl::not_found(std::string_view id_or_name) {
  std::vector<std::string> names;
  SQLite::Statement query(sqlite(), "SELECT name FROM configs");
  while (query.executeStep()) names.push_back(query.getColumn(0).getString());
  std::string hint = did_you_mean(id_or_name, names);
  if (hint.empty())
    hint = names.empty() ? "There are none yet: hyperdrive create NAME --connection-string URL"
                         : "`hyperdrive list` shows all.";
  return Error{fmt::format("Hyperdrive config not found: '{}'.", id_or_name), hint,
               code::kNoSuchConfig, Exit::kError};
}

Result<Config> Registry::Impl::find(std::string_view id_or_name) {
  auto config = look_up(id_or_name);
  if (!config) return tl::unexpected(config.error());
  if (!*config) return tl::unexpected(not_found(id_or_name));
  return std::move(**config);
}

Result<void> Registry::Impl::unseal(Config& config) {
  SQLite::Statement query(sqlite(),
                          "SELECT password, access_client_secret, local_password, cache_password "
                          "FROM configs WHERE id = ?");
  query.bind(1, config.id);
  if (!query.executeStep()) return tl::unexpected(not_found(config.id));
  const auto blob = [&](int index) {
    const SQLite::Column column = query.getColumn(index);
    return std::string(static_cast<const char*>(column.getBlob()),
                       static_cast<std::size_t>(column.getBytes()));
  };
  const SealedSecrets sealed{blob(0), blob(1), blob(2), blob(3)};
  if (sealed.password.empty() && sealed.access_client_secret.empty() &&
      sealed.local_password.empty() && sealed.cache_password.empty())
    return {};
  auto sealer = database->existing_sealer();
  if (!sealer) return tl::unexpected(sealer.error());
  return unseal_secrets(config, sealed, **sealer);
}

Result<void> Registry::Impl::check_name(const std::string& name, const std::string& id) {
  SQLite::Statement query(sqlite(), "SELECT 1 FROM configs WHERE name = ? AND id <> ?");
  query.bind(1, name);
  query.bind(2, id);
  if (!query.executeStep()) return {};
  return fail("A Hyperdrive config with the given name already exists",
              fmt::format("Choose another name, or change the one there: hyperdrive update {} …",
                          shell_word(name)),
              code::kNameTaken);
}

Result<void> Registry::Impl::check_local_port(std::uint16_t port, const std::string& id) {
  SQLite::Statement query(sqlite(), "SELECT name FROM configs WHERE local_port = ? AND id <> ?");
  query.bind(1, static_cast<int>(port));
  query.bind(2, id);
  if (!query.executeStep()) return {};
  return fail(fmt::format("The local port {} belongs to the config '{}'.", port,
                          query.getColumn(0).getString()),
              "Choose another with --local-port, or leave it out.");
}

// The port after the last one given, so that a deleted config's port is not soon another's; when
// the range is used up, the gaps.
Result<std::uint16_t> Registry::Impl::choose_local_port() {
  SQLite::Statement last(sqlite(),
                         "SELECT local_port FROM configs WHERE +local_port BETWEEN ? AND ? "
                         "ORDER BY sequence DESC LIMIT 1");
  last.bind(1, kFirstPort);
  last.bind(2, kLastPort);
  int port = last.executeStep() ? last.getColumn(0).getInt() + 1 : first_port(database->home());
  SQLite::Statement used(sqlite(), "SELECT 1 FROM configs WHERE local_port = ?");
  const int range = kLastPort - kFirstPort + 1;
  for (int tried = 0, bound = 0; tried < range && bound < kPortTries; ++tried, ++port) {
    if (port > kLastPort) port = kFirstPort;
    used.reset();
    used.bind(1, port);
    if (used.executeStep()) continue;
    ++bound;
    if (can_bind(port)) return static_cast<std::uint16_t>(port);
  }
  return fail(fmt::format("No local port from {} to {} is free.", kFirstPort, kLastPort),
              "Give one with --local-port.");
}

Result<void> Registry::Impl::store(const std::string& sql, const Config& config) {
  auto sealer = database->sealer();
  if (!sealer) return tl::unexpected(sealer.error());
  auto sealed = seal_secrets(config, **sealer);
  if (!sealed) return tl::unexpected(sealed.error());
  SQLite::Statement statement(sqlite(), sql);
  bind_config(statement, config, *sealed);
  statement.exec();
  return {};
}

// --- Registry -----------------------------------------------------------------------------------

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

Result<Registry> Registry::open(const Home& home) {
  auto database = Database::open(home);
  if (!database) return tl::unexpected(database.error());
  auto impl = std::make_unique<Impl>();
  impl->database = std::move(*database);
  return Registry(std::move(impl));
}

const Home& Registry::home() const { return impl_->database->home(); }

Result<Config> Registry::create(Config config) {
  // Before the transaction: making the key takes a disk flush.
  if (auto sealer = impl_->database->sealer(); !sealer) return tl::unexpected(sealer.error());
  return impl_->database->atomically([&]() -> Result<Config> {
    if (auto free = impl_->check_name(config.name, config.id); !free)
      return tl::unexpected(free.error());
    if (config.id.empty()) config.id = random_id();
    if (config.created_on.empty()) config.created_on = now_rfc3339();
    if (config.modified_on.empty()) config.modified_on = config.created_on;
    if (config.local.local_password.empty()) config.local.local_password = random_password();
    if (config.local.local_port == 0) {
      auto port = impl_->choose_local_port();
      if (!port) return tl::unexpected(port.error());
      config.local.local_port = *port;
    } else if (auto free = impl_->check_local_port(config.local.local_port, config.id); !free) {
      return tl::unexpected(free.error());
    }
    if (auto stored = impl_->store(insert_config_sql(), config); !stored)
      return tl::unexpected(stored.error());
    return config;
  });
}

Result<Config> Registry::find(std::string_view id_or_name) {
  return impl_->database->guarded([&] { return impl_->find(id_or_name); });
}

Result<std::optional<Config>> Registry::look_up(std::string_view id_or_name) {
  return impl_->database->guarded([&] { return impl_->look_up(id_or_name); });
}

Result<std::optional<Config>> Registry::find_remote(std::string_view remote_id) {
  return impl_->database->guarded(
      [&] { return impl_->select("remote_id = ? AND remote_id <> ''", remote_id); });
}

std::vector<std::string> Registry::names_starting_with(std::string_view prefix) {
  auto names = impl_->database->guarded([&]() -> Result<std::vector<std::string>> {
    // Completion is best effort: an error offers nothing.
    SQLite::Statement query(impl_->sqlite(),
                            "SELECT name FROM configs WHERE substr(name, 1, ?) = ? ORDER BY name");
    query.bind(1, static_cast<int>(prefix.size()));
    query.bind(2, std::string(prefix));
    std::vector<std::string> found;
    while (query.executeStep()) found.push_back(query.getColumn(0).getString());
    return found;
  });
  return names ? *names : std::vector<std::string>();
}

Result<void> Registry::each(const std::function<void(const Config&)>& visit) {
  return impl_->database->guarded([&]() -> Result<void> {
    ConfigRows rows(impl_->sqlite(), "ORDER BY sequence");
    for (;;) {
      auto config = rows.next();
      if (!config) return tl::unexpected(config.error());
      if (*config == nullptr) return {};
      visit(**config);
    }
  });
}

Result<std::size_t> Registry::count() {
  return impl_->database->guarded([&]() -> Result<std::size_t> {
    const auto rows = impl_->sqlite().execAndGet("SELECT count(*) FROM configs").getInt64();
    return static_cast<std::size_t>(rows);
  });
}

Result<std::vector<std::string>> Registry::sample(std::size_t most) {
  auto rows = count();
  if (!rows) return tl::unexpected(rows.error());
  return impl_->database->guarded([&]() -> Result<std::vector<std::string>> {
    const std::size_t step = std::max<std::size_t>(1, (*rows + most - 1) / most);
    SQLite::Statement query(impl_->sqlite(), "SELECT id FROM configs ORDER BY id");
    std::vector<std::string> ids;
    for (std::size_t row = 0; query.executeStep(); ++row)
      if (row % step == 0) ids.push_back(query.getColumn(0).getString());
    return ids;
  });
}

Result<std::optional<Config>> Registry::on_local_port(std::uint16_t port) {
  return impl_->database->guarded(
      [&] { return impl_->select("local_port = ?", std::to_string(port)); });
}

Result<int> Registry::local_port_above(std::uint16_t port) {
  return impl_->database->guarded([&]() -> Result<int> {
    SQLite::Statement query(
        impl_->sqlite(),
        "SELECT local_port + 1 FROM configs AS one WHERE local_port > ?1 AND NOT EXISTS (SELECT 1 "
        "FROM configs WHERE local_port = one.local_port + 1) ORDER BY local_port LIMIT 1");
    SQLite::Statement next(impl_->sqlite(), "SELECT 1 FROM configs WHERE local_port = ?");
    next.bind(1, port + 1);
    if (!next.executeStep()) return port + 1;
    query.bind(1, static_cast<int>(port));
    return query.executeStep() ? query.getColumn(0).getInt() : port + 1;
  });
}

Result<std::vector<Config>> Registry::list() {
  std::vector<Config> configs;
  auto done = each([&configs](const Config& config) { configs.push_back(config); });
  if (!done) return tl::unexpected(done.error());
  return configs;
}

Result<Config> Registry::update(std::string_view id_or_name, const Edit& edit) {
  return impl_->database->atomically([&]() -> Result<Config> {
    auto stored = impl_->find(id_or_name);
    if (!stored) return stored;
    Config config = *stored;
    const Result<void> opened = impl_->unseal(config);
    if (!opened) config = *stored;  // nothing of an altered row's secrets is kept
    if (auto edited = edit(config); !edited) return tl::unexpected(edited.error());
    if (!opened && config.origin.password.empty()) return tl::unexpected(opened.error());
    config.id = stored->id;
    config.created_on = stored->created_on;
    config.modified_on = now_rfc3339();
    if (config.local.local_password.empty()) config.local.local_password = random_password();
    if (config.local.local_port == 0) config.local.local_port = stored->local.local_port;
    if (auto free = impl_->check_name(config.name, config.id); !free)
      return tl::unexpected(free.error());
    if (auto free = impl_->check_local_port(config.local.local_port, config.id); !free)
      return tl::unexpected(free.error());
    if (auto done = impl_->store(update_config_sql(), config); !done)
      return tl::unexpected(done.error());
    return config;
  });
}

Result<void> Registry::link_remote(std::string_view id, std::string_view remote_id) {
  return impl_->database->atomically([&]() -> Result<void> {
    SQLite::Statement statement(
        impl_->sqlite(), "UPDATE configs SET remote_id = ?, pushed_on = modified_on WHERE id = ?");
    statement.bind(1, std::string(remote_id));
    statement.bind(2, std::string(id));
    statement.exec();
    return {};
  });
}

Result<bool> Registry::changed_since_push(std::string_view id) {
  return impl_->database->guarded([&]() -> Result<bool> {
    SQLite::Statement query(impl_->sqlite(),
                            "SELECT modified_on <> pushed_on FROM configs WHERE id = ?");
    query.bind(1, std::string(id));
    return !query.executeStep() || query.getColumn(0).getInt() != 0;
  });
}

Result<Config> Registry::remove(std::string_view id_or_name) {
  return impl_->database->atomically([&]() -> Result<Config> {
    auto config = impl_->find(id_or_name);
    if (!config) return config;
    SQLite::Statement statement(impl_->sqlite(), "DELETE FROM configs WHERE id = ?");
    statement.bind(1, config->id);
    statement.exec();
    return config;
  });
}

Result<void> Registry::unseal(Config& config) {
  return impl_->database->guarded([&] { return impl_->unseal(config); });
}

Result<Launch> Registry::launch(std::string_view id_or_name) {
  auto config = find(id_or_name);
  if (!config) return tl::unexpected(config.error());
  if (auto opened = unseal(*config); !opened) return tl::unexpected(opened.error());
  auto certificates = certificates_of(*config);
  if (!certificates) return tl::unexpected(certificates.error());
  Launch launch;
  launch.config = std::move(*config);
  launch.certificates = std::move(*certificates);
  return launch;
}

Result<void> Registry::atomically(const std::function<Result<void>()>& work) {
  return impl_->database->atomically([&] { return work(); });
}

Result<std::string> Registry::check_integrity() {
  return impl_->database->guarded([&]() -> Result<std::string> {
    // Checking every index entry of a large registry takes longer than all else together; its
    // pages and rows are checked in any case.
    constexpr std::int64_t kLarge = 1 << 20;
    const auto pages = impl_->sqlite().execAndGet("PRAGMA page_count").getInt64();
    const auto size = impl_->sqlite().execAndGet("PRAGMA page_size").getInt64();
    SQLite::Statement query(
        impl_->sqlite(), pages * size > kLarge ? "PRAGMA quick_check" : "PRAGMA integrity_check");
    std::string findings;
    while (query.executeStep()) {
      const std::string line = query.getColumn(0).getString();
      if (line != "ok") findings += (findings.empty() ? "" : "\n") + line;
    }
    return findings;
  });
}

}  // namespace hyperdrive::core
